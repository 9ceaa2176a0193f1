namespace Messaging.Transports;

/// <summary>Whether the broker lets this host in.</summary>
public sealed class BrokerAccess
{
    /// <summary>It does not, and the host has been told to stop.</summary>
    public bool IsRefused { get; internal set; }
}
