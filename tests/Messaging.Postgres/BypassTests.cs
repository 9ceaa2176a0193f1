using MassTransit;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Support;

namespace Messaging.Postgres.Tests;

[Trait("Category", "Server")]
public sealed class BypassTests(PostgresServer server) : IClassFixture<PostgresServer>
{
    [Fact]
    public async Task A_send_past_the_transaction_around_it_is_named_once_and_counted_every_time()
    {
        await using var shop = await ShopHost.StartAsync(
            await server.CreateDatabaseAsync(), bus => bus.AddConsumer<ImpatientConsumer, ImpatientDefinition>());
        using var bypassed = new CountOf("messaging.outbox.bypassed");

        await shop.PublishAsync(new PackOrder(NewId.NextGuid()));
        await shop.PublishAsync(new PackOrder(NewId.NextGuid()));

        await Eventually.TrueAsync(() => bypassed.Value == 4, "two publishes and two sends");
        shop.Logs.At(LogLevel.Warning).Count(l => l.StartsWith("OrderReady was sent past the outbox")).ShouldBe(1);
        shop.Logs.At(LogLevel.Warning).Count(l => l.StartsWith("CloseOrder was sent past the outbox to")).ShouldBe(1);
        shop.Logs.At(LogLevel.Warning).ShouldNotContain(l => l.StartsWith("HoldOrder"));
    }

    [Fact]
    public async Task In_a_request_too()
    {
        await using var shop = await ShopHost.StartAsync(await server.CreateDatabaseAsync());
        using var bypassed = new CountOf("messaging.outbox.bypassed");
        shop.Services.GetRequiredService<IHttpContextAccessor>().HttpContext = new DefaultHttpContext();

        await shop.PublishAsync(new OrderReady(NewId.NextGuid()));
        bypassed.Value.ShouldBe(0);
        await shop.Bus.Publish(new OrderReady(NewId.NextGuid()), x => x.BypassOutbox());
        bypassed.Value.ShouldBe(0);
        await shop.Bus.Publish(new OrderReady(NewId.NextGuid()));

        bypassed.Value.ShouldBe(1);
    }

    [Fact]
    public async Task What_goes_its_way_is_no_bypass()
    {
        await using var shop = await ShopHost.StartAsync(await server.CreateDatabaseAsync(), bus =>
        {
            bus.AddConsumer<PackingConsumer, PackingDefinition>();
            bus.AddConsumer<ReadyConsumer, ReadyDefinition>();
            bus.AddConsumer<FailingConsumer, FailingDefinition>();
        });
        using var bypassed = new CountOf("messaging.outbox.bypassed");
        var order = NewId.NextGuid();

        await shop.PublishAsync(new SubmitOrder(order));
        await shop.OrderIsAsync(order, o => o.CurrentState == "Ready", "the order");
        await shop.PublishAsync(new HoldOrder(order, TimeSpan.FromMilliseconds(50)));
        await shop.OrderIsAsync(order, o => o.HoldsEnded == 1, "the schedule");
        // The failing one publishes a fault and a dead letter.
        await Eventually.TrueAsync(async () => await shop.CountAsync("messaging.dead") == 1, "the dead letter");
        await shop.OutboxIsEmptyAsync();

        bypassed.Value.ShouldBe(0);
    }
}

/// <summary>Uses the bus itself where its context was meant, but for one message that says so.</summary>
public sealed class ImpatientConsumer(IBus bus) : IConsumer<PackOrder>
{
    public async Task Consume(ConsumeContext<PackOrder> context)
    {
        await bus.Publish(new OrderReady(context.Message.OrderId));
        var endpoint = await bus.GetSendEndpoint(new Uri("queue:order"));
        await endpoint.Send(new CloseOrder(context.Message.OrderId));
        await endpoint.Send(new HoldOrder(context.Message.OrderId, TimeSpan.FromHours(1)), x => x.BypassOutbox());
    }
}

public sealed class ImpatientDefinition : ConsumerDefinition<ImpatientConsumer>
{
    public ImpatientDefinition() => EndpointName = "impatient";

    protected override void ConfigureConsumer(
        IReceiveEndpointConfigurator endpointConfigurator, IConsumerConfigurator<ImpatientConsumer> consumerConfigurator, IRegistrationContext context) =>
        endpointConfigurator.UsePostgresOutbox<OrderContext>(context);
}
