using MassTransit;
using Microsoft.Extensions.Logging;
using Support;

namespace Messaging.Postgres.Tests;

public sealed class SagaTests(PostgresServer server) : IClassFixture<PostgresServer>
{
    [Fact]
    public async Task Three_transitions_take_effect_once_and_leave_nothing_behind()
    {
        await using var shop = await ShopHost.StartAsync(await server.CreateDatabaseAsync(), bus => bus.AddConsumer<PackingConsumer, PackingDefinition>());
        var id = NewId.NextGuid();

        await shop.PublishAsync(new SubmitOrder(id));

        await shop.OrderIsAsync(id, o => o is { CurrentState: "Ready", Transitions: 2 }, "the order to be ready");
        await shop.OutboxIsEmptyAsync();
        (await shop.EffectsAsync(id)).ShouldBe(1);
        (await shop.CountAsync("messaging.dead")).ShouldBe(0);
        shop.Logs.At(LogLevel.Error).ShouldBeEmpty();
        shop.Logs.At(LogLevel.Warning).ShouldBeEmpty();
    }
}

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
