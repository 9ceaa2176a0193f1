using MassTransit;
using Messaging.FaultInjection;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Support;

namespace Messaging.Compliance.Tests;

[Trait("Category", "Server")]
public abstract class SagaTests(Transport transport)
{
    static readonly Action<IBusRegistrationConfigurator> Packing = bus => bus.AddConsumer<PackingConsumer, PackingDefinition>();

    [Fact]
    public async Task Three_transitions_take_effect_once_and_leave_nothing_behind()
    {
        await using var shop = await transport.StartAsync(Packing);
        var id = NewId.NextGuid();

        await shop.PublishAsync(new SubmitOrder(id));

        await shop.OrderIsAsync(id, o => o is { CurrentState: "Ready", Transitions: 2 }, "the order to be ready");
        await shop.OutboxIsEmptyAsync();
        (await shop.EffectsAsync(id)).ShouldBe(1);
        (await shop.CountAsync("messaging.dead")).ShouldBe(0);
        shop.Logs.At(LogLevel.Error).ShouldBeEmpty();
        shop.Logs.At(LogLevel.Warning).ShouldBeEmpty();
    }

    [Fact]
    public async Task First_messages_that_race_make_one_saga_and_each_counts()
    {
        await using var shop = await transport.StartAsync();
        const int Orders = 10, Rivals = 8;
        Guid[] ids = [.. Enumerable.Range(0, Orders).Select(_ => NewId.NextGuid())];

        await Task.WhenAll(ids.SelectMany(id => Enumerable.Range(0, Rivals).Select(_ => shop.Bus.Publish(new SubmitOrder(id)))));

        foreach (var id in ids)
            await shop.OrderIsAsync(id, o => o.Transitions == 1 + (Rivals - 1) * 100, "every first message to count");
        shop.Logs.At(LogLevel.Error).ShouldBeEmpty();
        shop.Logs.At(LogLevel.Warning).ShouldBeEmpty();
    }

    [Fact]
    public async Task A_query_correlates_by_what_is_not_the_key()
    {
        await using var shop = await transport.StartAsync();
        Guid[] ids = [.. Enumerable.Range(0, 3).Select(_ => NewId.NextGuid())];
        foreach (var (id, reference) in ids.Zip(["A", "A", "B"]))
        {
            await shop.PublishAsync(new SubmitOrder(id, reference));
            await shop.OrderIsAsync(id, o => o.Reference == reference, "the order");
        }

        await shop.PublishAsync(new RenameOrder("A", "C"));
        await shop.PublishAsync(new RenameOrder("nothing", "D"));

        await shop.OrderIsAsync(ids[0], o => o.Reference == "C", "the first order's new name");
        await shop.OrderIsAsync(ids[1], o => o.Reference == "C", "the second order's new name");
        (await shop.OrderAsync(ids[2]))!.Reference.ShouldBe("B");
        (await shop.CountAsync("messaging.dead")).ShouldBe(0);
    }

    [Fact]
    public async Task Renames_that_meet_see_each_others_result()
    {
        await using var shop = await transport.StartAsync();
        var id = NewId.NextGuid();
        await shop.PublishAsync(new SubmitOrder(id, "A"));
        await shop.OrderIsAsync(id, o => o.Reference == "A", "the order");

        // Only one of them finds A; the others find it locked, and then no longer of that name.
        await Task.WhenAll(Enumerable.Range(0, 8).Select(i => shop.Bus.Publish(new RenameOrder("A", $"B{i}"))));

        await shop.OrderIsAsync(id, o => o.Reference.StartsWith('B'), "a new name");
        var name = (await shop.OrderAsync(id))!.Reference;
        await shop.PublishAsync(new RenameOrder(name, "end"));
        await shop.OrderIsAsync(id, o => o.Reference == "end", "the last name");
        (await shop.CountAsync("messaging.dead")).ShouldBe(0);
    }

    [Fact]
    public async Task A_final_saga_goes_when_its_machine_says_so()
    {
        await using var shop = await transport.StartAsync(Packing);
        var id = NewId.NextGuid();
        await shop.PublishAsync(new SubmitOrder(id));
        await shop.OrderIsAsync(id, o => o.CurrentState == "Ready", "the order to be ready");

        await shop.PublishAsync(new CloseOrder(id));

        await Eventually.TrueAsync(async () => await shop.OrderAsync(id) is null, "the order to go");
        shop.Logs.At(LogLevel.Error).ShouldBeEmpty();
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task Messages_that_come_twice_late_and_out_of_order_end_in_the_same_state(int seed)
    {
        await using var shop = await transport.StartAsync(Packing, services: services => services.AddFaultInjection(o =>
        {
            o.Seed = seed;
            (o.Twice, o.Late, o.Reordered) = (0.4, 0.2, 0.2);
        }));
        Guid[] ids = [.. Enumerable.Range(0, 40).Select(_ => NewId.NextGuid())];

        foreach (var id in ids)
            await shop.PublishAsync(new SubmitOrder(id));

        foreach (var id in ids)
            await shop.OrderIsAsync(id, o => o.CurrentState == "Ready", "the order to be ready");
        await shop.OutboxIsEmptyAsync();
        foreach (var id in ids)
        {
            (await shop.OrderAsync(id))!.Transitions.ShouldBe(2);
            (await shop.EffectsAsync(id)).ShouldBe(1);
        }

        var injector = shop.Services.GetRequiredService<FaultInjector>();
        new[] { injector.Twice, injector.Late, injector.Reordered }.ShouldAllBe(count => count > 0);
        shop.Logs.At(LogLevel.Error).ShouldBeEmpty();
    }

    [Fact]
    public async Task Every_message_delivered_twice_and_in_random_order_ends_in_the_same_state()
    {
        var seed = Random.Shared.Next();
        await using var shop = await transport.StartAsync(Packing, services: services => services.AddFaultInjection(o =>
        {
            o.Seed = seed;
            (o.Twice, o.Late) = (1, 1);
        }));
        Guid[] ids = [.. Enumerable.Range(0, 40).Select(_ => NewId.NextGuid())];

        await Task.WhenAll(ids.Select(id => shop.PublishAsync(new SubmitOrder(id))));

        await EndAsync(shop, ids, $"seed {seed}");
        var injector = shop.Services.GetRequiredService<FaultInjector>();
        // Submitted, to be packed, packed; what is ready goes to nobody.
        (injector.Twice, injector.Late).ShouldBe((3 * ids.Length, 3 * ids.Length));
    }

    [Fact]
    public async Task Messages_that_are_lost_are_made_good_by_who_asks_again()
    {
        var seed = Random.Shared.Next();
        await using var shop = await transport.StartAsync(Packing, services: services => services.AddFaultInjection(o =>
        {
            o.Seed = seed;
            (o.Lost, o.Twice, o.Late, o.Reordered) = (0.3, 0.2, 0.2, 0.2);
            o.Applies = type => type is nameof(PackOrder) or nameof(OrderPacked);
        }));
        Guid[] ids = [.. Enumerable.Range(0, 20).Select(_ => NewId.NextGuid())];
        foreach (var id in ids)
            await shop.PublishAsync(new SubmitOrder(id));

        await Eventually.TrueAsync(async () =>
        {
            var waiting = false;
            foreach (var id in ids)
            {
                if (await shop.OrderAsync(id) is { CurrentState: "Ready" })
                    continue;
                waiting = true;
                await shop.PublishAsync(new PackOrder(id));
            }

            return !waiting;
        }, $"all orders, seed {seed}", TimeSpan.FromMinutes(2));

        foreach (var id in ids)
            (await shop.OrderAsync(id))!.Transitions.ShouldBe(2);
        shop.Services.GetRequiredService<FaultInjector>().Lost.ShouldBeGreaterThan(0);
        (await shop.CountAsync("messaging.dead")).ShouldBe(0);
        shop.Logs.At(LogLevel.Error).ShouldBeEmpty();
    }

    [Fact]
    public async Task A_lost_message_is_not_a_dead_letter()
    {
        await using var shop = await transport.StartAsync(Packing, services: services => services.AddFaultInjection(o =>
        {
            o.Lost = 1;
            o.Applies = type => type == nameof(PackOrder);
        }));
        var id = NewId.NextGuid();

        await shop.PublishAsync(new SubmitOrder(id));

        await Eventually.TrueAsync(() => shop.Services.GetRequiredService<FaultInjector>().Lost == 1, "the loss");
        await shop.OutboxIsEmptyAsync();
        (await shop.OrderAsync(id))!.CurrentState.ShouldBe("Packing");
        (await shop.CountAsync("messaging.dead")).ShouldBe(0);
    }

    static async Task EndAsync(ShopHost shop, Guid[] ids, string what)
    {
        foreach (var id in ids)
            await shop.OrderIsAsync(id, o => o.CurrentState == "Ready", $"the order to be ready, {what}");
        await shop.OutboxIsEmptyAsync();
        foreach (var id in ids)
        {
            (await shop.OrderAsync(id))!.Transitions.ShouldBe(2);
            (await shop.EffectsAsync(id)).ShouldBe(1);
        }

        shop.Logs.At(LogLevel.Error).ShouldBeEmpty();
    }
}

public sealed class InMemorySagaTests(InMemoryTransport transport) : SagaTests(transport), IClassFixture<InMemoryTransport>;

public sealed class RabbitMqSagaTests(RabbitMqTransport transport) : SagaTests(transport), IClassFixture<RabbitMqTransport>;
