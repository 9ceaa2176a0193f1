using Consumers.BatchInference;
using Consumers.WorkLedger;
using Interop.DuckDb;
using MassTransit;
using Microsoft.Extensions.DependencyInjection;
using ServiceDefaults;

namespace Consumers;

/// <summary>Sagas, their consumers and the work ledger. The host brings the bus, a <c>PlatformDbContext</c> and an <c>NpgsqlDataSource</c>.</summary>
public static class PipelineRegistration
{
    /// <param name="alone">No other process shares the database and the bus: what was in flight when the last one ended is free at once.</param>
    public static IServiceCollection AddConsumers(this IServiceCollection services, bool alone)
    {
        DuckDbLibrary.Load(NativeParts.DuckDb());
        services.AddBatchInference(alone);
        services.AddWorkLedger();
        return services;
    }

    public static void AddConsumers(this IBusRegistrationConfigurator bus)
    {
        bus.AddWorkLedger();
        bus.AddBatchInference();
    }
}
