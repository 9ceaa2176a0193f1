using Contracts.BatchInference;
using MassTransit;
using Messaging.PlainJson;

namespace Sagas.BatchInference;

public static class BatchOutput
{
    /// <summary>Tells integrating systems what became of a job. Said twice, it has the same message id.</summary>
    public static Task AnnounceAsync(this IPublishEndpoint outbox, BatchInferenceOutput output, CancellationToken cancellationToken) =>
        outbox.PublishJson(output, NamedGuid.Of($"{output.Type}\n{output.JobId}"), output.Type, cancellationToken);
}
