using MassTransit;
using Messaging.Postgres;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Support;

namespace Messaging.Compliance.Tests;

[Trait("Category", "Server")]
public sealed class NodesTests(RabbitMqTransport transport) : IClassFixture<RabbitMqTransport>
{
    [Fact]
    public async Task Two_nodes_share_the_work_and_each_message_takes_effect_once()
    {
        const int Orders = 200;
        var site = await transport.OpenAsync();
        var nodes = await Task.WhenAll(new[] { "first", "second" }.Select(name => site.StartAsync(
            bus => bus.AddConsumer<NodeConsumer, NodeDefinition>(), services: s => s.AddSingleton(new Node(name)))));
        Guid[] ids = [.. Enumerable.Range(0, Orders).Select(_ => NewId.NextGuid())];

        await nodes[0].InScopeAsync(async (scope, db) =>
        {
            var publish = scope.GetRequiredService<IPublishEndpoint>();
            foreach (var id in ids)
                await publish.Publish(new SubmitOrder(id));
            await db.SaveChangesAsync();
        });

        await Eventually.TrueAsync(
            async () => await nodes[0].CountAsync("shop.orders WHERE \"CurrentState\" = 'Ready' AND \"Transitions\" = 2") == Orders, "all orders", TimeSpan.FromMinutes(2));
        await nodes[0].OutboxIsEmptyAsync();
        (await nodes[0].CountAsync("(SELECT FROM shop.effects GROUP BY \"OrderId\" HAVING count(*) = 1) AS once")).ShouldBe(Orders);
        foreach (var name in new[] { "first", "second" })
            (await nodes[0].CountAsync($"shop.effects WHERE \"Name\" = '{name}'")).ShouldBeGreaterThan(Orders / 5);
        (await nodes[0].CountAsync("messaging.dead")).ShouldBe(0);
        foreach (var node in nodes)
        {
            node.Logs.At(LogLevel.Error).ShouldBeEmpty();
            await node.DisposeAsync();
        }
    }
}

public sealed record Node(string Name);

public sealed class NodeConsumer(OrderContext db, Node node) : IConsumer<PackOrder>
{
    public async Task Consume(ConsumeContext<PackOrder> context)
    {
        db.Record(context.Message.OrderId, node.Name);
        await context.Publish(new OrderPacked(context.Message.OrderId));
    }
}

public sealed class NodeDefinition : ConsumerDefinition<NodeConsumer>
{
    public NodeDefinition() => (EndpointName, ConcurrentMessageLimit) = ("node", 4);

    protected override void ConfigureConsumer(
        IReceiveEndpointConfigurator endpointConfigurator, IConsumerConfigurator<NodeConsumer> consumerConfigurator, IRegistrationContext context)
    {
        endpointConfigurator.PrefetchCount = 4;
        endpointConfigurator.UsePostgresOutbox<OrderContext>(context);
    }
}
