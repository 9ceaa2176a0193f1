using System.Text.Json.Serialization;
using MassTransit;
using MassTransit.Middleware;
using Messaging.DeadLetters;
using Messaging.PlainJson;
using Messaging.Transports;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;

namespace Messaging;

public static class MessagingRegistration
{
    /// <summary>Adds the bus: transport by <c>Messaging:Transport</c>, serializer, dead letters, start and stop. Call it once a host.</summary>
    public static IHostApplicationBuilder AddMessaging(this IHostApplicationBuilder builder, Action<IBusRegistrationConfigurator> configure)
    {
        builder.Services.AddMessaging(builder.Configuration, configure);
        return builder;
    }

    /// <inheritdoc cref="AddMessaging(IHostApplicationBuilder, Action{IBusRegistrationConfigurator})"/>
    public static IServiceCollection AddMessaging(
        this IServiceCollection services, IConfiguration configuration, Action<IBusRegistrationConfigurator> configure)
    {
        services.AddOptions<MessagingOptions>().BindConfiguration(MessagingOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        var options = configuration.GetSection(MessagingOptions.Section).Get<MessagingOptions>() ?? new MessagingOptions();

        // A broker that is down must not keep a host from starting; readiness tells the difference.
        services.AddOptions<MassTransitHostOptions>().Configure(host =>
        {
            host.WaitUntilStarted = false;
            host.ConsumerStopTimeout = TimeSpan.FromSeconds(options.StopTimeoutSeconds);
            // Some seconds more, for consumers to notice that they are cancelled.
            host.StopTimeout = TimeSpan.FromSeconds(options.StopTimeoutSeconds + 5);
        });

        services.TryAddSingleton(TimeProvider.System);
        services.AddMassTransit(bus =>
        {
            // MassTransit would tell its makers how it is used, five minutes after each start.
            bus.DisableUsageTelemetry();
            bus.SetKebabCaseEndpointNameFormatter();
            bus.AddConfigureEndpointsCallback((context, name, endpoint) => endpoint.KeepDeadLetters(context, name, options.Kind));
            configure(bus);
            bus.UseTransport(options);
        });
        // After the bus, and so stopped before it.
        if (options.Kind == TransportKind.RabbitMq)
            services.AddHostedService<EndpointWatch>();
        return services;
    }

    static void UseTransport(this IBusRegistrationConfigurator bus, MessagingOptions options)
    {
        switch (options.Kind)
        {
            case TransportKind.RabbitMq:
                bus.UseRabbitMq(options.RabbitMq, UseCommonSettings);
                break;
            default:
                bus.UsingInMemory((context, factory) =>
                {
                    factory.UseCommonSettings(context);
                    factory.ConfigureEndpoints(context);
                });
                break;
        }
    }

    static void UseCommonSettings(this IBusFactoryConfigurator factory, IBusRegistrationContext context)
    {
        factory.ConfigureJsonSerializerOptions(json =>
        {
            // Scores may be NaN or infinite, and plain JSON has no word for them.
            json.NumberHandling |= JsonNumberHandling.AllowNamedFloatingPointLiterals;
            return json;
        });
        factory.MessageTopology.SetEntityNameFormatter(new ExchangeNames(factory.MessageTopology.EntityNameFormatter));
        var trace = new TraceContext();
        factory.ConfigureSend(pipe => pipe.UseFilter(trace));
        factory.ConfigurePublish(pipe => pipe.UseFilter(trace));
        factory.ConfigurePublish(pipe => pipe.UseFilter(new PublishedMark()));
        foreach (var settings in context.GetServices<BusSettings>())
            settings.Apply(context, factory);
    }

    static void KeepDeadLetters(this IReceiveEndpointConfigurator endpoint, IRegistrationContext context, string name, TransportKind transport)
    {
        var office = ActivatorUtilities.CreateInstance<DeadLetterOffice>(context, name, transport != TransportKind.InMemory);
        endpoint.ConfigureError(pipe =>
        {
            pipe.UseFilter<ExceptionReceiveContext>(office);
            pipe.UseFilter(new GenerateFaultFilter());
        });
        endpoint.ConfigureDeadLetter(pipe => pipe.UseFilter<ReceiveContext>(office));
    }
}

/// <summary>Something that applies to the whole bus, whatever its transport. Registered by those who extend it.</summary>
public sealed record BusSettings(Action<IBusRegistrationContext, IBusFactoryConfigurator> Apply);
