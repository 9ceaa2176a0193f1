using MassTransit;
using MassTransit.RabbitMqTransport;
using Microsoft.Extensions.Logging;
using Support;

namespace Messaging.Compliance.Tests;

/// <summary>An endpoint on RabbitMQ for which MassTransit itself tries no more.</summary>
[Trait("Category", "Server")]
public sealed class EndpointWatchTests(RabbitMqTransport transport) : IClassFixture<RabbitMqTransport>
{
    [Fact]
    public async Task One_that_gave_up_at_its_first_start_is_started_again()
    {
        var channels = new CancelledChannel(1);
        await using var shop = await (await OpenAsync()).StartAsync(Packing(channels));

        await WorksAsync(shop);
        channels.Opened.ShouldBe(2);
        shop.Logs.At(LogLevel.Warning).ShouldContain(line => line.StartsWith("Not ready for 2 seconds, started again: ") && line.Contains("/packing"));
    }

    [Fact]
    public async Task One_that_gave_up_when_it_came_back_is_started_again()
    {
        var channels = new CancelledChannel(2);
        var site = await OpenAsync();
        await using var shop = await site.StartAsync(Packing(channels));

        await transport.Broker.CloseConnectionsAsync(site.VirtualHost);
        await Eventually.TrueAsync(() => channels.Opened >= 3, "a third channel");

        await WorksAsync(shop);
    }

    async Task<Site> OpenAsync()
    {
        var site = await transport.OpenAsync();
        return site with { Settings = new Dictionary<string, string?>(site.Settings) { ["Messaging:RabbitMq:EndpointPatienceSeconds"] = "2" } };
    }

    static async Task WorksAsync(ShopHost shop)
    {
        var order = NewId.NextGuid();
        await shop.PublishAsync(new SubmitOrder(order));
        await shop.OrderIsAsync(order, o => o.CurrentState == "Ready", "the order to be ready");
    }

    static Action<IBusRegistrationConfigurator> Packing(CancelledChannel channels) => bus =>
    {
        bus.AddConsumer<PackingConsumer, PackingDefinition>();
        bus.AddConfigureEndpointsCallback((_, name, endpoint) =>
        {
            if (name == "packing")
                ((IRabbitMqReceiveEndpointConfigurator)endpoint).ConfigureChannel(pipe => pipe.UseFilter(channels));
        });
    };

    /// <summary>Ends one channel as a declaration does that takes longer than the client waits.</summary>
    sealed class CancelledChannel(int which) : IFilter<ChannelContext>
    {
        int _opened;

        public int Opened => Volatile.Read(ref _opened);

        public Task Send(ChannelContext context, IPipe<ChannelContext> next) =>
            Interlocked.Increment(ref _opened) == which ? throw new OperationCanceledException() : next.Send(context);

        public void Probe(ProbeContext context) => context.CreateFilterScope("cancelledChannel");
    }
}
