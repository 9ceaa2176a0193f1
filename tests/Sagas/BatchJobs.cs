using Contracts;
using Contracts.BatchInference;
using MassTransit;
using MassTransit.Testing;
using Microsoft.Extensions.DependencyInjection;
using Sagas.BatchInference;

namespace Sagas.Tests;

/// <summary>One machine on the in-memory bus, with the messages a job meets.</summary>
sealed class BatchJobs : IAsyncDisposable
{
    readonly ServiceProvider _services;

    BatchJobs(ServiceProvider services, ITestHarness harness) => (_services, Harness) = (services, harness);

    public ITestHarness Harness { get; }

    public Guid JobId { get; } = NewId.NextGuid();

    public ISagaStateMachineTestHarness<BatchJobStateMachine, BatchJobState> Saga =>
        Harness.GetSagaStateMachineHarness<BatchJobStateMachine, BatchJobState>();

    public static async Task<BatchJobs> StartAsync(BatchSagaOptions? options = null)
    {
        var services = new ServiceCollection();
        services.AddSingleton(Microsoft.Extensions.Options.Options.Create(options ?? new BatchSagaOptions()));
        services.AddMassTransitTestHarness(bus =>
        {
            bus.SetTestTimeouts(testInactivityTimeout: TimeSpan.FromSeconds(1.5));
            bus.AddDelayedMessageScheduler();
            bus.AddSagaStateMachine<BatchJobStateMachine, BatchJobState>().InMemoryRepository();
            bus.UsingInMemory((context, config) =>
            {
                config.UseDelayedMessageScheduler();
                config.ConfigureEndpoints(context);
            });
        });
        var provider = services.BuildServiceProvider(true);
        var harness = provider.GetRequiredService<ITestHarness>();
        await harness.Start();
        return new BatchJobs(provider, harness);
    }

    public SubmitBatchJob Submit(int deadlineSeconds = 3600) => new(JobId, "local", new BatchJobSpec(
        new InputSpec("file:///data/in.parquet", "parquet"),
        new ModelRef("credit-risk-model", new string('a', 64), "file:///models/a.onnx"),
        new ModelSignature([], [], [], null, false, true, new Dictionary<string, string>(), ""),
        new FeatureMapping([]), [], new OutputSpec("file:///data/out", "parquet"), null, 1e6, 0.01, null, deadlineSeconds, 0));

    public Task Publish<T>(T message) where T : class => Harness.Bus.Publish(message);

    public async Task PublishAsObject(object message) => await Harness.Bus.Publish(message, message.GetType());

    public async Task ShouldReach(string state) =>
        (await Saga.Exists(JobId, m => Named(m, state))).ShouldNotBeNull($"the job should be {state}, it is {Saga.Sagas.Contains(JobId)?.CurrentState}");

    public void ShouldHaveNoFaults() =>
        Harness.Published.Select<Fault>()
            .SelectMany(f => ((Fault)f.MessageObject).Exceptions.Select(e => $"{string.Join(' ', ((Fault)f.MessageObject).FaultMessageTypes ?? [])}: {e.Message} {e.InnerException?.Message} {e.InnerException?.InnerException?.Message} {e.StackTrace}"))
            .ShouldBeEmpty();

    public async ValueTask DisposeAsync() => await _services.DisposeAsync();

    static State Named(BatchJobStateMachine machine, string state) => machine.GetState(state);
}
