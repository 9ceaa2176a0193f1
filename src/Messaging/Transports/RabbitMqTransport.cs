using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using MassTransit;
using MassTransit.RabbitMqTransport;
using MassTransit.RabbitMqTransport.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace Messaging.Transports;

/// <summary>
/// RabbitMQ: quorum queues, publisher confirms, one connection a host that comes back by itself. A host starts while the broker is down.
/// </summary>
static class RabbitMqTransport
{
    const string ServerAuthentication = "1.3.6.1.5.5.7.3.1";
    const int DeliveryLimit = 1_000_000_000;

    public static void UseRabbitMq(
        this IBusRegistrationConfigurator bus, RabbitMqOptions options, Action<IBusFactoryConfigurator, IBusRegistrationContext> common)
    {
        options.Validate();
        var password = options.ReadPassword();

        bus.AddConfigureEndpointsCallback((_, _, endpoint) =>
        {
            // A temporary queue belongs to one process and goes with it: there is nothing to replicate.
            if (endpoint is IRabbitMqReceiveEndpointConfigurator queue && endpoint is not IRabbitMqReceiveEndpointConfiguration { Settings.AutoDelete: true })
            {
                queue.SetQuorumQueue();
                // From version 4 on the broker drops a message that has come back 20 times, as it does when a database is away for long.
                queue.SetQueueArgument("x-delivery-limit", DeliveryLimit);
            }
        });
        bus.AddSingleton<BrokerAccess>();
        bus.AddReceiveEndpointObserver<BrokerRefusals>();
        bus.UsingRabbitMq((context, factory) =>
        {
            factory.Host(options.Host, options.EffectivePort, options.VirtualHost, host =>
            {
                host.Username(options.Username);
                host.Password(password);
                host.Heartbeat(TimeSpan.FromSeconds(options.HeartbeatSeconds));
                host.PublisherConfirmation = true;
                if (options.Tls)
                    host.UseSsl(tls => Configure(tls, options));
            });
            factory.ConfigureSend(pipe => pipe.UseFilter(new MandatorySend()));
            common(factory, context);
            factory.ConfigureEndpoints(context);
        });
    }

    static void Configure(IRabbitMqSslConfigurator tls, RabbitMqOptions options)
    {
        tls.ServerName = options.TlsServerName.Length > 0 ? options.TlsServerName : options.Host;
        if (options.TlsAuthorityFile.Length == 0)
        {
            // MassTransit's own rule lets wrong names pass.
            tls.CertificateValidationCallback = (_, _, _, errors) => errors == SslPolicyErrors.None;
            return;
        }

        X509Certificate2Collection authorities = [];
        authorities.ImportFromPemFile(options.TlsAuthorityFile);
        tls.CertificateValidationCallback = (_, certificate, sent, errors) => IsTrusted(certificate, sent, errors, authorities);
    }

    // The name must fit whoever signed it; the chain is built anew on the given authorities alone.
    static bool IsTrusted(X509Certificate? certificate, X509Chain? sent, SslPolicyErrors errors, X509Certificate2Collection authorities)
    {
        if (certificate is not X509Certificate2 leaf || (errors & ~SslPolicyErrors.RemoteCertificateChainErrors) != 0)
            return false;
        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.AddRange(authorities);
        chain.ChainPolicy.ApplicationPolicy.Add(new Oid(ServerAuthentication));
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        foreach (var element in sent?.ChainElements.AsEnumerable() ?? [])
            chain.ChainPolicy.ExtraStore.Add(element.Certificate);
        return chain.Build(leaf);
    }
}
