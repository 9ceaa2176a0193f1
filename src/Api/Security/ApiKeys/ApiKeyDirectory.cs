using System.Collections.Concurrent;
using System.Net;
using System.Security.Cryptography;
using Api.Edge;
using Contracts;
using Npgsql;
using Sagas.Persistence;

namespace Api.Security.ApiKeys;

/// <summary>
/// Tells whose a key is. What it has read it believes for some seconds: that is how long a key revoked at another node still works here.
/// It looks before it is known for whom, so as the platform itself.
/// </summary>
sealed class ApiKeyDirectory(PlatformDatabase database, RequestLimits limits, TimeProvider clock)
{
    public static readonly TimeSpan Believed = TimeSpan.FromSeconds(5);

    readonly ConcurrentDictionary<string, Known> _known = [];
    readonly ConcurrentDictionary<string, DateTimeOffset> _used = [];

    /// <param name="from">Who shows it: an address that showed many wrong ones is not believed to have a right one for a while.</param>
    /// <returns>Null for a key that is unknown, revoked or past its end; which of them is not told.</returns>
    public async ValueTask<Caller?> FindAsync(string text, IPAddress? from, CancellationToken cancellationToken)
    {
        if (ApiKeyText.IdOf(text) is not { } id)
            return null;
        if (!_known.ContainsKey(id) && !limits.MayGuess(from))
            throw new FailureException("rate_limited", "Too many wrong keys came from your address. Try again in some seconds.");
        if (await LookUpAsync(id, cancellationToken) is not { } known)
        {
            limits.GuessedWrong(from);
            return null;
        }

        if (!CryptographicOperations.FixedTimeEquals(known.Sha256, ApiKeyText.Hash(text)) || known.Caller.ExpiresAt <= clock.GetUtcNow())
            return null;
        _used[id] = clock.GetUtcNow();
        return known.Caller;
    }

    /// <returns>Whether the key of a caller who was let in is still good.</returns>
    public async ValueTask<bool> IsGoodAsync(Caller caller, CancellationToken cancellationToken)
    {
        var known = await LookUpAsync(caller.Id[IdPrefix.Length..], cancellationToken);
        return known is not null && !(known.Caller.ExpiresAt <= clock.GetUtcNow());
    }

    public const string IdPrefix = "key:";

    /// <summary>From now on the key is read anew.</summary>
    public void Forget(string id) => _known.TryRemove(id, out _);

    /// <summary>When keys were used last, since this was last asked.</summary>
    public IReadOnlyDictionary<string, DateTimeOffset> TakeUsed()
    {
        var used = new Dictionary<string, DateTimeOffset>();
        foreach (var id in _used.Keys)
            if (_used.TryRemove(id, out var at))
                used[id] = at;
        return used;
    }

    async ValueTask<Known?> LookUpAsync(string id, CancellationToken cancellationToken)
    {
        if (_known.TryGetValue(id, out var known) && clock.GetElapsedTime(known.ReadAt) <= Believed)
            return known;
        known = await ReadAsync(id, cancellationToken);
        if (known is null)
            _known.TryRemove(id, out _);
        else
            _known[id] = known;
        return known;
    }

    async Task<Known?> ReadAsync(string id, CancellationToken cancellationToken)
    {
        var readAt = clock.GetTimestamp();
        await using var command = database.System.CreateCommand(
            "SELECT tenant, name, scopes, sha256, expires_at FROM sagas.api_keys WHERE id = $1 AND revoked_at IS NULL");
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = id });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        if (!await reader.ReadAsync(cancellationToken))
            return null;
        var end = await reader.IsDBNullAsync(4, cancellationToken) ? (DateTimeOffset?)null : reader.GetFieldValue<DateTimeOffset>(4);
        var caller = new Caller(reader.GetString(0), IdPrefix + id, reader.GetString(1), ApiKeyScopes.Highest(reader.GetFieldValue<string[]>(2)), end);
        return new Known(reader.GetFieldValue<byte[]>(3), caller, readAt);
    }

    sealed record Known(byte[] Sha256, Caller Caller, long ReadAt);
}
