using MassTransit;
using Microsoft.Extensions.Logging;
using Support;

namespace Messaging.Compliance.Tests;

/// <summary>With a broker of their own, which they stop.</summary>
[Trait("Category", "Server")]
public sealed class BrokerOutageTests(BrokerToStop broker) : IClassFixture<BrokerToStop>
{
    static readonly TimeSpan Long = TimeSpan.FromMinutes(3);

    static readonly Action<IBusRegistrationConfigurator> Packing = bus => bus.AddConsumer<PackingConsumer, PackingDefinition>();

    [Fact]
    public async Task A_host_starts_while_the_broker_is_down_and_works_when_it_comes()
    {
        var site = await broker.OpenAsync();
        await broker.Process.StopAsync();
        await using var shop = await site.StartAsync(Packing, awaitBus: false);
        var order = NewId.NextGuid();
        await shop.PublishAsync(new SubmitOrder(order));
        (await shop.CountAsync("messaging.outbox WHERE attempts = 0")).ShouldBe(1);

        await broker.Process.StartAsync();

        await Eventually.TrueAsync(async () => await shop.OrderAsync(order) is { CurrentState: "Ready", Transitions: 2 }, "the order to be ready", Long);
        (await shop.CountAsync("messaging.dead")).ShouldBe(0);
    }

    [Theory, Trait("Category", "Soak")]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_broker_that_goes_and_comes_back_under_load_loses_and_doubles_nothing(bool killed)
    {
        const int Orders = 150;
        var site = await broker.OpenAsync();
        using var failed = new CountOf("messaging.outbox.failed");
        await using var shop = await site.StartAsync(Packing);
        Guid[] ids = [.. Enumerable.Range(0, Orders).Select(_ => NewId.NextGuid())];
        var submitting = Task.Run(async () =>
        {
            foreach (var id in ids)
                await shop.PublishAsync(new SubmitOrder(id));
        });
        await Eventually.TrueAsync(async () => await shop.CountAsync("shop.orders") > 10, "the first orders");

        await (killed ? broker.Process.KillAsync() : broker.Process.StopAsync());
        await submitting;
        await broker.Process.StartAsync();

        try
        {
            await Eventually.TrueAsync(
                async () => await shop.CountAsync("shop.orders WHERE \"CurrentState\" = 'Ready' AND \"Transitions\" = 2") == Orders, "all orders", Long);
        }
        catch (TimeoutException e)
        {
            throw new TimeoutException(
                $"""
                {e.Message}: {await shop.CountAsync("shop.orders")} there, {await shop.CountAsync("shop.orders WHERE \"CurrentState\" = 'Packing'")} being packed,
                {await shop.CountAsync("shop.effects")} effects, {await shop.CountAsync("messaging.outbox")} unsent, {await shop.CountAsync("messaging.dead")} dead.
                Ready at the saga {await broker.Process.ReadyAsync(site.VirtualHost, "order")}, at the packers {await broker.Process.ReadyAsync(site.VirtualHost, "packing")}.
                {string.Join('\n', shop.Logs.At(LogLevel.Warning).Concat(shop.Logs.At(LogLevel.Error)))}
                """, e);
        }

        await Eventually.TrueAsync(async () => await shop.CountAsync("messaging.outbox") == 0, "an empty outbox", Long);
        (await shop.CountAsync("(SELECT FROM shop.effects GROUP BY \"OrderId\" HAVING count(*) = 1) AS once")).ShouldBe(Orders);
        (await shop.CountAsync("messaging.dead")).ShouldBe(0);
        failed.Value.ShouldBe(0);
        shop.Logs.At(LogLevel.Error).ShouldNotContain(l => l.Contains("dead letter"));
    }
}

public sealed class BrokerToStop : IAsyncLifetime
{
    readonly PostgresServer _postgres = new();

    public RabbitMqProcess Process { get; private set; } = null!;

    public async Task InitializeAsync()
    {
        await _postgres.InitializeAsync();
        Process = await RabbitMqProcess.StartNewAsync();
    }

    public async Task<Site> OpenAsync() => new(await _postgres.CreateDatabaseAsync(), Process.Settings(await Process.CreateVirtualHostAsync()));

    public async Task DisposeAsync() => await Process.DisposeAsync();
}
