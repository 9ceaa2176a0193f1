using MassTransit;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting;

namespace Messaging;

public static class BrokerRegistration
{
    /// <summary><see cref="MessagingRegistration.AddMessaging(IHostApplicationBuilder, Action{IBusRegistrationConfigurator})"/> for one host among others.</summary>
    /// <exception cref="MessagingConfigurationException">No broker is chosen: nothing that this host says would reach another.</exception>
    public static IHostApplicationBuilder AddBrokerMessaging(this IHostApplicationBuilder builder, Action<IBusRegistrationConfigurator> configure)
    {
        if (builder.IsAlone())
        {
            throw new MessagingConfigurationException(
                $"{MessagingOptions.Section}:{nameof(MessagingOptions.Transport)} is missing or InMemory, and {builder.Environment.ApplicationName} is one of several processes. Choose RabbitMq.");
        }

        return builder.AddMessaging(configure);
    }

    /// <summary>Whether messages stay in this process, and end with it.</summary>
    public static bool IsAlone(this IHostApplicationBuilder builder) =>
        (builder.Configuration.GetSection(MessagingOptions.Section).Get<MessagingOptions>() ?? new MessagingOptions()).Kind == TransportKind.InMemory;
}
