using MassTransit;
using Messaging.Postgres;
using Microsoft.EntityFrameworkCore;

namespace Shop;

public sealed record SubmitOrder(Guid OrderId, string Reference = "");

public sealed record PackOrder(Guid OrderId);

public sealed record OrderPacked(Guid OrderId);

public sealed record OrderReady(Guid OrderId);

/// <summary>Correlated by the reference, which is not the saga's key.</summary>
public sealed record RenameOrder(string Reference, string NewReference);

public sealed record HoldOrder(Guid OrderId, TimeSpan For);

public sealed record ReleaseOrder(Guid OrderId);

public sealed record HoldEnded(Guid OrderId);

public sealed record CloseOrder(Guid OrderId);

public sealed class OrderState : SagaStateMachineInstance
{
    public Guid CorrelationId { get; set; }
    public string CurrentState { get; set; } = "";
    public string Reference { get; set; } = "";
    public int Transitions { get; set; }
    public int HoldsEnded { get; set; }
    public Guid? HoldToken { get; set; }
}

public sealed class OrderStateMachine : MassTransitStateMachine<OrderState>
{
    public OrderStateMachine()
    {
        InstanceState(o => o.CurrentState);
        Event(() => Submitted, e => e.CorrelateById(m => m.Message.OrderId));
        Event(() => Packed, e => e.CorrelateById(m => m.Message.OrderId));
        Event(() => Renamed, e =>
        {
            e.CorrelateBy((saga, m) => saga.Reference == m.Message.Reference);
            e.OnMissingInstance(m => m.Discard());
        });
        Event(() => Held, e => e.CorrelateById(m => m.Message.OrderId));
        Event(() => Released, e => e.CorrelateById(m => m.Message.OrderId));
        Event(() => Closed, e => e.CorrelateById(m => m.Message.OrderId));
        Schedule(() => Hold, o => o.HoldToken, s => s.Received = e => e.CorrelateById(m => m.Message.OrderId));

        Initially(
            When(Submitted)
                .Then(c => (c.Saga.Reference, c.Saga.Transitions) = (c.Message.Reference, 1))
                .Publish(c => new PackOrder(c.Message.OrderId))
                .TransitionTo(Packing));
        During(Packing,
            When(Submitted).Then(c => c.Saga.Transitions += 100),
            When(Packed).Then(c => c.Saga.Transitions++).Publish(c => new OrderReady(c.Message.OrderId)).TransitionTo(Ready));
        DuringAny(
            When(Renamed).Then(c => c.Saga.Reference = c.Message.NewReference),
            When(Held).Schedule(Hold, c => new HoldEnded(c.Message.OrderId), c => c.Message.For),
            When(Released).Unschedule(Hold),
            When(Hold.Received).Then(c => c.Saga.HoldsEnded++),
            When(Closed).Finalize());
        During(Ready, Ignore(Packed), Ignore(Submitted));
        SetCompletedWhenFinalized();
    }

    public State Packing { get; } = null!;
    public State Ready { get; } = null!;
    public Event<SubmitOrder> Submitted { get; } = null!;
    public Event<OrderPacked> Packed { get; } = null!;
    public Event<RenameOrder> Renamed { get; } = null!;
    public Event<HoldOrder> Held { get; } = null!;
    public Event<ReleaseOrder> Released { get; } = null!;
    public Event<CloseOrder> Closed { get; } = null!;
    public Schedule<OrderState, HoldEnded> Hold { get; } = null!;
}

public sealed class OrderStateDefinition : SagaDefinition<OrderState>
{
    public OrderStateDefinition()
    {
        EndpointName = "order";
        ConcurrentMessageLimit = 16;
    }

    protected override void ConfigureSaga(
        IReceiveEndpointConfigurator endpointConfigurator, ISagaConfigurator<OrderState> sagaConfigurator, IRegistrationContext context) =>
        endpointConfigurator.UsePostgresOutbox<OrderContext>(context);
}

/// <summary>A row that a consumer writes: how often it took effect is counted in the database.</summary>
public sealed class Effect
{
    public Guid Id { get; set; }
    public Guid OrderId { get; set; }
    public string Name { get; set; } = "";
}

public sealed class OrderContext(DbContextOptions<OrderContext> options) : DbContext(options)
{
    public DbSet<OrderState> Orders => Set<OrderState>();

    public DbSet<Effect> Effects => Set<Effect>();

    protected override void OnModelCreating(ModelBuilder modelBuilder)
    {
        modelBuilder.MapOutbox();
        modelBuilder.Entity<OrderState>(o =>
        {
            o.ToTable("orders", "shop");
            o.HasKey(s => s.CorrelationId);
            o.Property(s => s.CorrelationId).ValueGeneratedNever();
            o.HasIndex(s => s.Reference);
        });
        modelBuilder.Entity<Effect>(e =>
        {
            e.ToTable("effects", "shop");
            e.Property(x => x.Id).ValueGeneratedNever();
        });
    }

    public void Record(Guid orderId, string name) => Effects.Add(new Effect { Id = NewId.NextGuid(), OrderId = orderId, Name = name });
}
