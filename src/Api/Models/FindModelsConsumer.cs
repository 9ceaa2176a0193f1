using Api.Security;
using Contracts;
using MassTransit;
using Messaging;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Sagas.Persistence;

namespace Api.Models;

/// <summary>Tells workers, which have no database, which versions are meant.</summary>
sealed class FindModelsConsumer(IServiceScopeFactory scopes, IOptions<TenancyOptions> tenancy, TimeProvider clock) : IConsumer<FindModels>
{
    public async Task Consume(ConsumeContext<FindModels> context)
    {
        // Nobody waits for it any more.
        if (context.ExpirationTime < clock.GetUtcNow().UtcDateTime || context.Message.Models is not { Count: <= FindModels.Most } asked || asked.Any(model => model is not { Name: not null }))
            return;
        try
        {
            var found = new ModelRef?[asked.Count];
            foreach (var ofTenant in asked.Index().GroupBy(one => one.Item.Tenant ?? tenancy.Value.Home))
                await FindAsync(ofTenant.Key, ofTenant, found, context.CancellationToken);
            await context.RespondAsync(new ModelsFound(found));
        }
        catch (Exception e) when (TransientError.IsTransient(e))
        {
            // Who asked asks again.
        }
    }

    async Task FindAsync(string tenant, IEnumerable<(int Index, TenantModel Model)> asked, ModelRef?[] found, CancellationToken cancellationToken)
    {
        await using var scope = scopes.CreateAsyncScope();
        scope.ServiceProvider.GetRequiredService<DataScope>().See(tenant);
        var db = scope.ServiceProvider.GetRequiredService<PlatformDbContext>();
        foreach (var (index, model) in asked)
            found[index] = (await db.FindModelAsync(model.Name, model.Reference, cancellationToken))?.Reference();
    }
}
