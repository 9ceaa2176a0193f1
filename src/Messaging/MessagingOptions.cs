using System.ComponentModel.DataAnnotations;

namespace Messaging;

/// <summary>How this host talks to the others.</summary>
public sealed class MessagingOptions
{
    public const string Section = "Messaging";

    /// <summary>Which broker carries the messages. <c>InMemory</c>: none, everything runs in this process. Default: InMemory.</summary>
    [Required]
    public string Transport { get; init; } = "InMemory";

    /// <summary>Seconds a stopping host gives its consumers to finish what they hold before it cancels them. 1 to 600. Default: 10.</summary>
    [Range(1, 600)]
    public int StopTimeoutSeconds { get; init; } = 10;
}
