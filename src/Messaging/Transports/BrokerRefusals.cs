using System.Security.Authentication;
using MassTransit;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using RabbitMQ.Client.Exceptions;

namespace Messaging.Transports;

/// <summary>
/// Says which settings to look at when the broker is there but does not let this host in. It is asked again, except with the password:
/// that MassTransit gives up at once, and the host stops rather than stay deaf.
/// </summary>
sealed partial class BrokerRefusals(IOptions<MessagingOptions> options, BrokerAccess access, IHostApplicationLifetime lifetime, ILogger<BrokerRefusals> logger) : IReceiveEndpointObserver
{
    const string Section = $"{MessagingOptions.Section}:{nameof(MessagingOptions.RabbitMq)}:";
    const ushort NotAllowed = 530;

    readonly RabbitMqOptions _rabbit = options.Value.RabbitMq;
    string? _said;

    public Task Faulted(ReceiveEndpointFaulted faulted)
    {
        // Each endpoint tries again every few seconds.
        if (Reason(faulted.Exception) is { } reason && Interlocked.Exchange(ref _said, reason) != reason)
        {
            LogRefused(_rabbit.Host, _rabbit.EffectivePort, reason);
            if (Found<AuthenticationFailureException>(faulted.Exception))
            {
                access.IsRefused = true;
                lifetime.StopApplication();
            }
        }

        return Task.CompletedTask;
    }

    public Task Ready(ReceiveEndpointReady ready)
    {
        Interlocked.Exchange(ref _said, null);
        return Task.CompletedTask;
    }

    public Task Stopping(ReceiveEndpointStopping stopping) => Task.CompletedTask;

    public Task Completed(ReceiveEndpointCompleted completed) => Task.CompletedTask;

    string? Reason(Exception? exception) => exception switch
    {
        null => null,
        AggregateException several => several.InnerExceptions.Select(Reason).FirstOrDefault(reason => reason is not null),
        AuthenticationFailureException =>
            $"it does not know the user {_rabbit.Username} with this password. Check {Section}{nameof(RabbitMqOptions.Username)} and {nameof(RabbitMqOptions.Password)} or {nameof(RabbitMqOptions.PasswordFile)}",
        OperationInterruptedException { ShutdownReason.ReplyCode: NotAllowed } =>
            $"there is no virtual host {_rabbit.VirtualHost} for {_rabbit.Username}. Check {Section}{nameof(RabbitMqOptions.VirtualHost)}",
        AuthenticationException =>
            $"its certificate is not trusted here. Check {Section}{nameof(RabbitMqOptions.TlsServerName)} and {nameof(RabbitMqOptions.TlsAuthorityFile)}",
        _ => Reason(exception.InnerException),
    };

    static bool Found<T>(Exception? exception)
        where T : Exception =>
        exception is T || (exception is AggregateException several ? several.InnerExceptions.Any(Found<T>) : exception is not null && Found<T>(exception.InnerException));

    [LoggerMessage(LogLevel.Error, "RabbitMQ at {Host}:{Port} refuses this host: {Reason}")]
    partial void LogRefused(string host, int port, string reason);
}
