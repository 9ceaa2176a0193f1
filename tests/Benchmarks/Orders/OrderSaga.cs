using MassTransit;
using Messaging;
using Messaging.Postgres;
using Microsoft.EntityFrameworkCore;

namespace Benchmarks.Orders;

// Four messages and three transitions a saga, as in the workload of the peers.

public sealed record OrderSubmitted(Guid OrderId);

public sealed record ProcessOrder(Guid OrderId);

public sealed record OrderProcessed(Guid OrderId);

public sealed record OrderReady(Guid OrderId);

public sealed class OrderState : SagaStateMachineInstance
{
    public Guid CorrelationId { get; set; }
    public string CurrentState { get; set; } = "";
    public int Transitions { get; set; }
    public DateTime Updated { get; set; }
}

public sealed class OrderStateMachine : MassTransitStateMachine<OrderState>
{
    public OrderStateMachine(TimeProvider clock)
    {
        InstanceState(o => o.CurrentState);
        Event(() => Submit, e => e.CorrelateById(m => m.Message.OrderId));
        Event(() => Process, e => e.CorrelateById(m => m.Message.OrderId));
        Event(() => Complete, e => e.CorrelateById(m => m.Message.OrderId));

        Initially(
            When(Submit).Then(c => Count(c.Saga, clock)).Send(SagaHost.ProcessQueue, c => new ProcessOrder(c.Message.OrderId)).TransitionTo(Submitted));
        During(Submitted,
            Ignore(Submit),
            When(Process).Then(c => Count(c.Saga, clock)).Publish(c => new OrderReady(c.Message.OrderId)).TransitionTo(Processed));
        During(Processed,
            Ignore(Submit), Ignore(Process),
            When(Complete).Then(c => Count(c.Saga, clock)).TransitionTo(Completed));
        During(Completed,
            Ignore(Submit), Ignore(Process), Ignore(Complete));
    }

    public State Submitted { get; } = null!;
    public State Processed { get; } = null!;
    public State Completed { get; } = null!;
    public Event<OrderSubmitted> Submit { get; } = null!;
    public Event<OrderProcessed> Process { get; } = null!;
    public Event<OrderReady> Complete { get; } = null!;

    static void Count(OrderState order, TimeProvider clock)
    {
        order.Transitions++;
        order.Updated = clock.GetUtcNow().UtcDateTime;
    }
}

public sealed class ProcessOrderConsumer : IConsumer<ProcessOrder>
{
    public Task Consume(ConsumeContext<ProcessOrder> context) => context.Publish(new OrderProcessed(context.Message.OrderId));
}

/// <summary>What a request writes beside its message.</summary>
public sealed class Order
{
    public Guid Id { get; set; }
    public string Customer { get; set; } = "";
    public decimal Total { get; set; }
    public DateTime Created { get; set; }
}

public sealed class OrderContext(DbContextOptions<OrderContext> options) : DbContext(options)
{
    public const string Tables =
        """
        CREATE TABLE orders (id uuid PRIMARY KEY, customer text NOT NULL, total numeric NOT NULL, created timestamptz NOT NULL);
        CREATE TABLE order_state (id uuid PRIMARY KEY, state text NOT NULL, transitions int NOT NULL, updated timestamptz NOT NULL);
        """;

    public DbSet<Order> Orders => Set<Order>();

    protected override void OnModelCreating(ModelBuilder modelBuilder)
    {
        modelBuilder.MapOutbox();
        modelBuilder.Entity<Order>(o =>
        {
            o.ToTable("orders");
            o.Property(x => x.Id).HasColumnName("id").ValueGeneratedNever();
            o.Property(x => x.Customer).HasColumnName("customer");
            o.Property(x => x.Total).HasColumnName("total");
            o.Property(x => x.Created).HasColumnName("created");
        });
        modelBuilder.Entity<OrderState>(o =>
        {
            o.ToTable("order_state");
            o.HasKey(x => x.CorrelationId);
            o.Property(x => x.CorrelationId).HasColumnName("id").ValueGeneratedNever();
            o.Property(x => x.CurrentState).HasColumnName("state");
            o.Property(x => x.Transitions).HasColumnName("transitions");
            o.Property(x => x.Updated).HasColumnName("updated");
        });
    }
}
