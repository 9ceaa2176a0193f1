using Api.Security.Audit;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Sagas.Persistence;

namespace Api.Security.ApiKeys;

/// <summary>For what a host does over HTTP like anybody else, such as its sample job.</summary>
public static class TemporaryKey
{
    static readonly TimeSpan Life = TimeSpan.FromHours(1);

    /// <summary>Makes an operator's key of the home tenant that ends after an hour.</summary>
    /// <returns>Null where no keys are used.</returns>
    public static async Task<string?> CreateAsync(IServiceProvider services, string name, CancellationToken cancellationToken)
    {
        if (!services.GetRequiredService<IOptions<ApiKeyOptions>>().Value.Enabled)
            return null;
        var platform = Caller.Platform(services.GetRequiredService<IOptions<TenancyOptions>>().Value.Home);
        await using var scope = services.CreateAsyncScope();
        scope.ServiceProvider.GetRequiredService<DataScope>().See(platform.Tenant);
        var db = scope.ServiceProvider.GetRequiredService<PlatformDbContext>();
        await using var transaction = await db.Database.BeginTransactionAsync(cancellationToken);
        var (row, text) = db.AddApiKey(
            platform.Tenant, name, [ApiKeyScopes.Of(Role.Operator)], platform.Id, services.GetRequiredService<TimeProvider>().GetUtcNow(), Life);
        await db.SaveChangesAsync(cancellationToken);
        await db.AuditAsync(new AuditAction(platform, "api-key.create", row.Id, $"For the {name}."), cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        return text;
    }
}
