using MassTransit;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Sagas.WorkLedger;

namespace Consumers.WorkLedger;

public static class WorkLedgerRegistration
{
    public static IServiceCollection AddWorkLedger(this IServiceCollection services)
    {
        services.AddOptions<WorkLedgerOptions>().BindConfiguration(WorkLedgerOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        services.TryAddSingleton<LedgerSignal>();
        services.TryAddSingleton(TimeProvider.System);
        services.AddScoped<UnitCommit>();
        services.AddScoped<UnitFailures>();
        services.AddScoped<UnitLeases>();
        services.AddSingleton<Dispatcher>();
        services.AddSingleton<Reaper>();
        services.AddHostedService(s => s.GetRequiredService<Dispatcher>());
        services.AddHostedService(s => s.GetRequiredService<Reaper>());
        return services;
    }

    public static void AddWorkLedger(this IBusRegistrationConfigurator bus)
    {
        bus.AddConsumer<AdmitJobConsumer, AdmitJobDefinition>();
        bus.AddConsumer<StopWorkConsumer, StopWorkDefinition>();
        bus.AddConsumer<CheckWorkConsumer, CheckWorkDefinition>();
        bus.AddConsumer<WorkerAliveConsumer, WorkerAliveDefinition>();
        bus.AddConsumer<UnitHeartbeatConsumer, UnitHeartbeatDefinition>();
    }
}
