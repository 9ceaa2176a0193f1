using MassTransit;
using Microsoft.Extensions.DependencyInjection;
using Support;

namespace Messaging.Compliance.Tests;

[Trait("Category", "Server")]
public sealed class ShutdownTests(RabbitMqTransport transport) : IClassFixture<RabbitMqTransport>
{
    [Fact]
    public async Task A_stopping_host_finishes_what_it_holds_and_leaves_the_rest_to_the_broker()
    {
        const int Messages = 6;
        var site = await transport.OpenAsync();
        var door = new Door();
        Guid[] orders = [.. Enumerable.Range(0, Messages).Select(_ => NewId.NextGuid())];
        await using var shop = await site.StartAsync(
            bus => bus.AddConsumer<WaitingConsumer, WaitingDefinition>().Endpoint(e => (e.ConcurrentMessageLimit, e.PrefetchCount) = (1, 4)),
            services: s => s.AddSingleton(door));
        foreach (var order in orders)
            await shop.Bus.Publish(new PackOrder(order));
        await door.Entered.Task.WaitAsync(TimeSpan.FromMinutes(1));

        var stopping = shop.StopAsync();
        await Eventually.TrueAsync(() => !shop.Gate.IsOpen, "the bus to stop");
        stopping.IsCompleted.ShouldBeFalse();
        door.Opened.SetResult();
        await stopping;

        var done = await shop.CountAsync("shop.effects");
        done.ShouldBeGreaterThanOrEqualTo(1);
        await Eventually.TrueAsync(async () => await transport.Broker.ReadyAsync(site.VirtualHost, "waiting") == Messages - done, "the rest to be back in the queue");
        (Messages - done).ShouldBeGreaterThanOrEqualTo(2);
        (await shop.CountAsync("messaging.dead")).ShouldBe(0);

        await using var next = await site.StartAsync(bus => bus.AddConsumer<WaitingConsumer, WaitingDefinition>(), services: s => s.AddSingleton(door));
        await Eventually.TrueAsync(async () => await next.CountAsync("shop.effects") == Messages, "the rest");
        await next.OutboxIsEmptyAsync();
    }
}
