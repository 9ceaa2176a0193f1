using MassTransit;

namespace Messaging;

public static class ProcessEndpoint
{
    /// <summary>A queue of this process alone, which goes when the process does: what is published reaches each of its like.</summary>
    public static void OfThisProcess(this IEndpointRegistrationConfigurator endpoint, string name)
    {
        endpoint.Name = name;
        endpoint.InstanceId = $"-{Environment.MachineName}-{Environment.ProcessId}-{Guid.CreateVersion7().ToString("n")[^6..]}";
        endpoint.Temporary = true;
    }
}
