using Api.Security.ApiKeys;

namespace Api.Security;

/// <summary>Whether whoever was let in some time ago would be let in now: what takes long asks again.</summary>
sealed class CallerLease(ApiKeyDirectory keys, TimeProvider clock)
{
    public ValueTask<bool> IsGoodAsync(Caller caller, CancellationToken cancellationToken) =>
        caller.ExpiresAt <= clock.GetUtcNow() ? new(false)
        : caller.Id.StartsWith(ApiKeyDirectory.IdPrefix, StringComparison.Ordinal) ? keys.IsGoodAsync(caller, cancellationToken)
        : new(true);
}
