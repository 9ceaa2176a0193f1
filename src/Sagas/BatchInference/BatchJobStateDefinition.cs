using MassTransit;
using Messaging.Postgres;
using Sagas.Persistence;

namespace Sagas.BatchInference;

public sealed class BatchJobStateDefinition : SagaDefinition<BatchJobState>
{
    public BatchJobStateDefinition() => EndpointName = "batch-job";

    protected override void ConfigureSaga(
        IReceiveEndpointConfigurator endpointConfigurator, ISagaConfigurator<BatchJobState> sagaConfigurator, IRegistrationContext context) =>
        endpointConfigurator.UsePostgresOutbox<PlatformDbContext>(context);
}
