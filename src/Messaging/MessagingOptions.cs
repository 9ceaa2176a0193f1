using System.ComponentModel.DataAnnotations;
using Messaging.Transports;

namespace Messaging;

/// <summary>How this host talks to the others.</summary>
public sealed class MessagingOptions
{
    public const string Section = "Messaging";

    /// <summary>
    /// Which broker carries the messages: <c>InMemory</c> (none, everything runs in this process) or <c>RabbitMq</c>. Default: InMemory.
    /// </summary>
    [Required]
    public string Transport { get; init; } = nameof(TransportKind.InMemory);

    /// <summary>Seconds a stopping host gives its consumers to finish what they hold before it cancels them. 1 to 600. Default: 10.</summary>
    [Range(1, 600)]
    public int StopTimeoutSeconds { get; init; } = 10;

    /// <summary>Used when the transport is <c>RabbitMq</c>.</summary>
    public RabbitMqOptions RabbitMq { get; init; } = new();

    /// <exception cref="MessagingConfigurationException">There is no such transport here.</exception>
    public TransportKind Kind =>
        !int.TryParse(Transport, out _) && Enum.TryParse<TransportKind>(Transport, ignoreCase: true, out var kind)
            ? kind
            : throw new MessagingConfigurationException(Transport.Equals("AzureServiceBus", StringComparison.OrdinalIgnoreCase)
                ? $"{Section}:{nameof(Transport)} is AzureServiceBus, and this build has no adapter for it. Choose InMemory or RabbitMq."
                : $"{Section}:{nameof(Transport)} is '{Transport}'. Choose InMemory or RabbitMq.");
}

public enum TransportKind
{
    InMemory,
    RabbitMq,
}

/// <summary>The settings of the bus are wrong or incomplete; the message names them. The host cannot start.</summary>
public sealed class MessagingConfigurationException(string message) : Exception(message);
