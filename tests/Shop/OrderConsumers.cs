using MassTransit;
using Messaging;
using Messaging.Postgres;
using Microsoft.EntityFrameworkCore;

namespace Shop;

public sealed class PackingConsumer(OrderContext db) : IConsumer<PackOrder>
{
    public async Task Consume(ConsumeContext<PackOrder> context)
    {
        db.Record(context.Message.OrderId, "packed");
        await context.Publish(new OrderPacked(context.Message.OrderId));
    }
}

public sealed class PackingDefinition : ConsumerDefinition<PackingConsumer>
{
    public PackingDefinition() => EndpointName = "packing";

    protected override void ConfigureConsumer(
        IReceiveEndpointConfigurator endpointConfigurator, IConsumerConfigurator<PackingConsumer> consumerConfigurator, IRegistrationContext context) =>
        endpointConfigurator.UsePostgresOutbox<OrderContext>(context);
}

public sealed class ReadyConsumer(OrderContext db) : IConsumer<OrderReady>
{
    public Task Consume(ConsumeContext<OrderReady> context)
    {
        db.Record(context.Message.OrderId, "ready");
        return Task.CompletedTask;
    }
}

public sealed class ReadyDefinition : ConsumerDefinition<ReadyConsumer>
{
    public ReadyDefinition() => EndpointName = "ready";

    protected override void ConfigureConsumer(
        IReceiveEndpointConfigurator endpointConfigurator, IConsumerConfigurator<ReadyConsumer> consumerConfigurator, IRegistrationContext context) =>
        endpointConfigurator.UsePostgresOutbox<OrderContext>(context);
}

public sealed class FailingConsumer(OrderContext db) : IConsumer<PackOrder>
{
    public async Task Consume(ConsumeContext<PackOrder> context)
    {
        db.Record(context.Message.OrderId, "failing");
        await db.SaveChangesAsync();
        await context.Publish(new OrderReady(context.Message.OrderId));
        throw new InvalidOperationException("out of boxes");
    }
}

public sealed class FailingDefinition : ConsumerDefinition<FailingConsumer>
{
    public FailingDefinition() => EndpointName = "failing";

    protected override void ConfigureConsumer(
        IReceiveEndpointConfigurator endpointConfigurator, IConsumerConfigurator<FailingConsumer> consumerConfigurator, IRegistrationContext context) =>
        endpointConfigurator.UsePostgresOutbox<OrderContext>(context);
}

/// <summary>Half through its context, half through what is injected: both are the outbox.</summary>
public sealed class ParallelConsumer(IPublishEndpoint publish) : IConsumer<PackOrder>
{
    public const int Messages = 60;

    public Task Consume(ConsumeContext<PackOrder> context) => Task.WhenAll(Enumerable.Range(0, Messages).Select(i =>
        (i % 2 == 0 ? publish : context).Publish(new OrderReady(context.Message.OrderId))));
}

public sealed class ParallelDefinition : ConsumerDefinition<ParallelConsumer>
{
    public ParallelDefinition() => EndpointName = "parallel";

    protected override void ConfigureConsumer(
        IReceiveEndpointConfigurator endpointConfigurator, IConsumerConfigurator<ParallelConsumer> consumerConfigurator, IRegistrationContext context) =>
        endpointConfigurator.UsePostgresOutbox<OrderContext>(context);
}

public sealed class Door
{
    public TaskCompletionSource Entered { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public TaskCompletionSource Opened { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public TaskCompletionSource<string> Trace { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public TaskCompletionSource<string> Header { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
}

public sealed class WaitingConsumer(OrderContext db, Door door) : IConsumer<PackOrder>
{
    public async Task Consume(ConsumeContext<PackOrder> context)
    {
        db.Record(context.Message.OrderId, "waited");
        door.Entered.TrySetResult();
        await door.Opened.Task.WaitAsync(context.CancellationToken);
        await context.Publish(new OrderReady(context.Message.OrderId));
    }
}

public sealed class WaitingDefinition : ConsumerDefinition<WaitingConsumer>
{
    public WaitingDefinition() => EndpointName = "waiting";

    protected override void ConfigureConsumer(
        IReceiveEndpointConfigurator endpointConfigurator, IConsumerConfigurator<WaitingConsumer> consumerConfigurator, IRegistrationContext context) =>
        endpointConfigurator.UsePostgresOutbox<OrderContext>(context);
}

public sealed class SlowWork
{
    public System.Collections.Concurrent.ConcurrentQueue<bool> Results { get; } = new();

    public bool FailOnce { get; set; }

    public async Task BreakConnectionOnceAsync(OrderContext db)
    {
        if (!FailOnce)
            return;
        FailOnce = false;
        await db.SaveChangesAsync();
        await db.Database.ExecuteSqlRawAsync("SELECT pg_terminate_backend(pg_backend_pid())");
    }
}

public sealed class SlowConsumer(ConsumeTransaction<OrderContext> transaction, SlowWork work) : IConsumer<PackOrder>
{
    public async Task Consume(ConsumeContext<PackOrder> context) => work.Results.Enqueue(await transaction.RunAsync(context, async (db, outbox, cancellationToken) =>
    {
        db.Record(context.Message.OrderId, "slow");
        await outbox.Publish(new OrderReady(context.Message.OrderId), cancellationToken);
        await work.BreakConnectionOnceAsync(db);
    }));
}

public sealed class SlowDefinition : ConsumerDefinition<SlowConsumer>
{
    public SlowDefinition() => EndpointName = "slow";

    protected override void ConfigureConsumer(
        IReceiveEndpointConfigurator endpointConfigurator, IConsumerConfigurator<SlowConsumer> consumerConfigurator, IRegistrationContext context) =>
        endpointConfigurator.UseTransientRetry();
}

public sealed class BatchConsumer(OrderContext db, SlowWork work) : IConsumer<Batch<PackOrder>>
{
    public async Task Consume(ConsumeContext<Batch<PackOrder>> context)
    {
        db.Record(context.Message[0].Message.OrderId, $"batch of {context.Message.Length}");
        await context.Publish(new OrderReady(context.Message[0].Message.OrderId));
        await work.BreakConnectionOnceAsync(db);
    }
}

public sealed class BatchDefinition : ConsumerDefinition<BatchConsumer>
{
    public const int Size = 4;

    public BatchDefinition() => EndpointName = "batches";

    protected override void ConfigureConsumer(
        IReceiveEndpointConfigurator endpointConfigurator, IConsumerConfigurator<BatchConsumer> consumerConfigurator, IRegistrationContext context)
    {
        endpointConfigurator.PrefetchCount = 16;
        endpointConfigurator.ConcurrentMessageLimit = 16;
        endpointConfigurator.UsePostgresOutbox<OrderContext>(context, o => o.WithoutInbox = true);
        consumerConfigurator.Options<BatchOptions>(o => o.SetMessageLimit(Size).SetTimeLimit(TimeSpan.FromSeconds(20)));
    }
}
