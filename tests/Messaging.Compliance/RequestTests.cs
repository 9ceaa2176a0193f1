using MassTransit;
using Messaging.Postgres;
using Microsoft.Extensions.DependencyInjection;
using Support;

namespace Messaging.Compliance.Tests;

[Trait("Category", "Server")]
public abstract class RequestTests(Transport transport)
{
    static readonly RequestTimeout Patient = RequestTimeout.After(m: 1);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_request_is_answered_with_or_without_a_transaction(bool inTransaction)
    {
        await using var shop = await StartAsync(inTransaction);
        var order = NewId.NextGuid();

        var client = shop.Bus.CreateRequestClient<CountBoxes>(Patient);
        var answer = await client.GetResponse<BoxesCounted>(new CountBoxes(order, 3));

        answer.Message.ShouldBe(new BoxesCounted(order, 3));
        await shop.OutboxIsEmptyAsync();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_request_that_fails_says_so_to_who_asked_and_is_a_dead_letter(bool inTransaction)
    {
        await using var shop = await StartAsync(inTransaction);

        var client = shop.Bus.CreateRequestClient<CountBoxes>(Patient);
        var failure = await Should.ThrowAsync<RequestFaultException>(client.GetResponse<BoxesCounted>(new CountBoxes(NewId.NextGuid(), -1)));

        failure.Message.ShouldContain("less than none");
        await Eventually.TrueAsync(async () => await shop.CountAsync("messaging.dead WHERE queue = 'boxes'") == 1, "the dead letter");
    }

    Task<ShopHost> StartAsync(bool inTransaction) => transport.StartAsync(bus =>
    {
        if (inTransaction)
            bus.AddConsumer<CountBoxesConsumer, CountBoxesDefinition>();
        else
            bus.AddConsumer<CountBoxesConsumer>().Endpoint(e => e.Name = "boxes");
    });
}

public sealed class InMemoryRequestTests(InMemoryTransport transport) : RequestTests(transport), IClassFixture<InMemoryTransport>;

public sealed class RabbitMqRequestTests(RabbitMqTransport transport) : RequestTests(transport), IClassFixture<RabbitMqTransport>
{
    readonly RabbitMqTransport _transport = transport;

    [Theory]
    [InlineData(3)]
    [InlineData(-1)]
    public async Task An_answer_that_nobody_waits_for_any_more_harms_nobody(int boxes)
    {
        var site = await _transport.OpenAsync();
        var door = new Door();
        await using var shop = await site.StartAsync(bus => bus.AddConsumer<SlowCountConsumer, SlowCountDefinition>(), services: s => s.AddSingleton(door));
        var order = NewId.NextGuid();
        await using (var worker = await WorkerHost.StartAsync(site.Settings, awaitBus: false))
        {
            _ = worker.Bus.CreateRequestClient<CountBoxes>().GetResponse<BoxesCounted>(new CountBoxes(order, boxes)).ContinueWith(answer => answer.Exception, TaskScheduler.Default);
            await door.Entered.Task.WaitAsync(TimeSpan.FromMinutes(1));
        }

        door.Opened.SetResult();

        await Eventually.TrueAsync(async () => await shop.EffectsAsync(order) + await shop.CountAsync("messaging.dead") == 1, "the request's end");
        await shop.OutboxIsEmptyAsync();
        (await shop.CountAsync("messaging.dead WHERE reason = 'error' AND error LIKE '%less than none%'")).ShouldBe(boxes < 0 ? 1 : 0);
        await Eventually.TrueAsync(async () => await _transport.Broker.ReadyAsync(site.VirtualHost, "slow-boxes") == 0, "an empty queue");
    }
}

public sealed record CountBoxes(Guid OrderId, int Boxes);

public sealed record BoxesCounted(Guid OrderId, int Boxes);

public sealed class CountBoxesConsumer : IConsumer<CountBoxes>
{
    public Task Consume(ConsumeContext<CountBoxes> context) => context.Message.Boxes < 0
        ? throw new InvalidOperationException("less than none")
        : context.RespondAsync(new BoxesCounted(context.Message.OrderId, context.Message.Boxes));
}

public sealed class CountBoxesDefinition : ConsumerDefinition<CountBoxesConsumer>
{
    public CountBoxesDefinition() => EndpointName = "boxes";

    protected override void ConfigureConsumer(
        IReceiveEndpointConfigurator endpointConfigurator, IConsumerConfigurator<CountBoxesConsumer> consumerConfigurator, IRegistrationContext context) =>
        endpointConfigurator.UsePostgresOutbox<OrderContext>(context);
}

public sealed class SlowCountConsumer(OrderContext db, Door door) : IConsumer<CountBoxes>
{
    public async Task Consume(ConsumeContext<CountBoxes> context)
    {
        db.Record(context.Message.OrderId, "counted");
        door.Entered.TrySetResult();
        await door.Opened.Task;
        await new CountBoxesConsumer().Consume(context);
    }
}

public sealed class SlowCountDefinition : ConsumerDefinition<SlowCountConsumer>
{
    public SlowCountDefinition() => EndpointName = "slow-boxes";

    protected override void ConfigureConsumer(
        IReceiveEndpointConfigurator endpointConfigurator, IConsumerConfigurator<SlowCountConsumer> consumerConfigurator, IRegistrationContext context) =>
        endpointConfigurator.UsePostgresOutbox<OrderContext>(context);
}
