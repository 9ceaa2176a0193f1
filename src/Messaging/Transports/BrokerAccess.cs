namespace Messaging.Transports;

/// <summary>Whether the broker lets this host in.</summary>
sealed class BrokerAccess
{
    /// <summary>It does not, and the host has been told to stop.</summary>
    public bool IsRefused { get; set; }
}
