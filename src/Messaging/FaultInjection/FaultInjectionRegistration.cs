using MassTransit;
using Microsoft.Extensions.DependencyInjection;

namespace Messaging.FaultInjection;

public static class FaultInjectionRegistration
{
    /// <summary>Disturbs what the endpoints of this host receive. <see cref="FaultInjector"/> counts what was done.</summary>
    public static IServiceCollection AddFaultInjection(this IServiceCollection services, Action<FaultInjectionOptions> configure)
    {
        services.AddOptions<FaultInjectionOptions>().Configure(configure).ValidateDataAnnotations().ValidateOnStart();
        services.AddSingleton<FaultInjector>();
        services.AddSingleton<IConfigureReceiveEndpoint, FaultInjectionEndpoints>();
        return services;
    }

    sealed class FaultInjectionEndpoints(FaultInjector injector) : IConfigureReceiveEndpoint
    {
        public void Configure(string name, IReceiveEndpointConfigurator configurator) =>
            configurator.ConfigureReceive(receive => receive.UseFilter(new FaultInjectionFilter(injector)));
    }
}
