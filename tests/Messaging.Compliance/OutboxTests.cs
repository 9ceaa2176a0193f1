using MassTransit;
using Messaging.Postgres;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Support;

namespace Messaging.Compliance.Tests;

[Trait("Category", "Server")]
public abstract class OutboxTests(Transport transport)
{
    static readonly Action<IBusRegistrationConfigurator> Packing = bus => bus.AddConsumer<PackingConsumer, PackingDefinition>();

    [Fact]
    public async Task A_crash_between_commit_and_send_in_a_request_loses_nothing()
    {
        var site = await transport.OpenAsync();
        var id = NewId.NextGuid();
        await using (var shop = await site.StartAsync(Packing))
        {
            shop.Crash();
            await shop.PublishAsync(new SubmitOrder(id));
        }

        await using var restarted = await site.StartAsync(Packing);
        await restarted.LapseLeasesAsync();
        await restarted.OrderIsAsync(id, o => o.CurrentState == "Ready", "the order to be ready after the restart");
        await restarted.OutboxIsEmptyAsync();
        (await restarted.EffectsAsync(id)).ShouldBe(1);
    }

    [Fact]
    public async Task A_crash_between_commit_and_send_in_a_saga_loses_nothing()
    {
        var site = await transport.OpenAsync();
        var id = NewId.NextGuid();
        await using (var shop = await site.StartAsync(Packing))
        {
            shop.Crash();
            await shop.Bus.Publish(new SubmitOrder(id));
            await shop.OrderIsAsync(id, o => o.CurrentState == "Packing", "the saga's commit");
            (await shop.CountAsync("messaging.outbox")).ShouldBe(1);
        }

        await using var restarted = await site.StartAsync(Packing);
        await restarted.LapseLeasesAsync();
        await restarted.OrderIsAsync(id, o => o is { CurrentState: "Ready", Transitions: 2 }, "the order to be ready after the restart");
    }

    [Fact]
    public async Task A_lapsed_lease_is_swept_by_another_host_and_the_late_twin_has_no_effect()
    {
        var site = await transport.OpenAsync();
        await using var slow = await site.StartAsync(Packing, o => o.Sweep = false);
        slow.Crash();
        var id = NewId.NextGuid();
        await slow.PublishAsync(new SubmitOrder(id));
        await slow.ExecuteAsync("INSERT INTO messaging.outbox SELECT (json_populate_record(o, json_build_object('id', gen_random_uuid()))).* FROM messaging.outbox o");
        // Where they share a broker it would go on consuming.
        await slow.StopAsync();

        await using var other = await site.StartAsync(Packing);
        await other.LapseLeasesAsync();
        await other.OrderIsAsync(id, o => o.CurrentState == "Ready", "the order to be ready");
        await other.OutboxIsEmptyAsync();
        (await other.EffectsAsync(id)).ShouldBe(1);
        (await other.OrderAsync(id))!.Transitions.ShouldBe(2);
    }

    [Fact]
    public async Task A_rollback_sends_nothing_and_leaves_a_dead_letter()
    {
        await using var shop = await transport.StartAsync(bus =>
        {
            bus.AddConsumer<FailingConsumer, FailingDefinition>();
            bus.AddConsumer<ReadyConsumer, ReadyDefinition>();
        });
        var id = NewId.NextGuid();

        await shop.PublishAsync(new PackOrder(id));

        await Eventually.TrueAsync(async () => await shop.CountAsync("messaging.dead") == 1, "the dead letter");
        (await shop.EffectsAsync(id)).ShouldBe(0);
        await shop.OutboxIsEmptyAsync();
        (await shop.CountAsync(
            "messaging.dead WHERE queue = 'failing' AND reason = 'error' AND error LIKE '%out of boxes%' AND stack LIKE '%FailingConsumer%' "
            + $"AND message_type LIKE '%PackOrder%' AND convert_from(body, 'UTF8') LIKE '%{id}%'")).ShouldBe(1);
    }

    [Fact]
    public async Task A_message_nobody_knows_is_kept_as_skipped()
    {
        await using var shop = await transport.StartAsync();

        var endpoint = await shop.Bus.GetSendEndpoint(QueueAddress.Of("order"));
        await endpoint.Send(new PackOrder(NewId.NextGuid()));

        await Eventually.TrueAsync(
            async () => await shop.CountAsync("messaging.dead WHERE queue = 'order' AND reason = 'skipped'") == 1, "the skipped message");
    }

    [Fact]
    public async Task A_consumer_may_publish_in_parallel()
    {
        await using var shop = await transport.StartAsync(bus =>
        {
            bus.AddConsumer<ParallelConsumer, ParallelDefinition>();
            bus.AddConsumer<ReadyConsumer, ReadyDefinition>();
        });
        var id = NewId.NextGuid();

        await shop.PublishAsync(new PackOrder(id));

        await Eventually.TrueAsync(async () => await shop.EffectsAsync(id) == ParallelConsumer.Messages, "all messages");
        await shop.OutboxIsEmptyAsync();
        shop.Logs.At(LogLevel.Error).ShouldBeEmpty();
    }

    [Fact]
    public async Task A_lost_connection_is_retried_without_a_dead_letter()
    {
        await using var shop = await transport.StartAsync(Packing);
        var id = NewId.NextGuid();
        await shop.PublishAsync(new SubmitOrder(id));
        await shop.OrderIsAsync(id, o => o.CurrentState == "Ready", "the order to be ready");

        await using (var connection = await shop.DataSource.OpenConnectionAsync())
        await using (var transaction = await connection.BeginTransactionAsync())
        {
            await using (var command = new Npgsql.NpgsqlCommand("SELECT 1 FROM shop.orders FOR UPDATE", connection, transaction))
                await command.ExecuteScalarAsync();
            await shop.Bus.Publish(new CloseOrder(id));
            await Eventually.TrueAsync(async () => await shop.CountAsync("pg_locks WHERE NOT granted") > 0, "the saga to wait for its row");
            await shop.ExecuteAsync("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE NOT granted");
        }

        await Eventually.TrueAsync(async () => await shop.OrderAsync(id) is null, "the retry");
        (await shop.CountAsync("messaging.dead")).ShouldBe(0);
    }

    [Fact]
    public async Task Messages_of_a_users_transaction_go_at_its_commit_and_not_before()
    {
        await using var shop = await transport.StartAsync(Packing);
        var id = NewId.NextGuid();

        await shop.InScopeAsync(async (scope, db) =>
        {
            await using var transaction = await db.Database.BeginTransactionAsync();
            db.Record(id, "submitted");
            await scope.GetRequiredService<IPublishEndpoint>().Publish(new SubmitOrder(id));
            await db.SaveChangesAsync();
            (await shop.OrderAsync(id)).ShouldBeNull();
            await transaction.CommitAsync();
        });

        await shop.OrderIsAsync(id, o => o.CurrentState == "Ready", "the order to be ready");
        shop.Logs.At(LogLevel.Warning).ShouldBeEmpty();
    }

    [Fact]
    public async Task A_rolled_back_transaction_of_a_user_sends_nothing_not_even_with_the_next_commit()
    {
        await using var shop = await transport.StartAsync(Packing);
        var (lost, kept) = (NewId.NextGuid(), NewId.NextGuid());

        await shop.InScopeAsync(async (scope, db) =>
        {
            var publish = scope.GetRequiredService<IPublishEndpoint>();
            await using (await db.Database.BeginTransactionAsync())
            {
                await publish.Publish(new SubmitOrder(lost));
                await db.SaveChangesAsync();
            }

            await using var transaction = await db.Database.BeginTransactionAsync();
            await publish.Publish(new SubmitOrder(kept));
            await db.SaveChangesAsync();
            await transaction.CommitAsync();
        });

        await shop.OrderIsAsync(kept, o => o.CurrentState == "Ready", "the order to be ready");
        (await shop.OrderAsync(lost)).ShouldBeNull();
    }

    [Fact]
    public async Task A_scope_that_never_saves_its_messages_says_so()
    {
        await using var shop = await transport.StartAsync();

        await shop.InScopeAsync((scope, _) => scope.GetRequiredService<IPublishEndpoint>().Publish(new SubmitOrder(NewId.NextGuid())));

        shop.Logs.At(LogLevel.Warning).ShouldHaveSingleItem().ShouldStartWith("1 messages were published but never sent");
        (await shop.CountAsync("messaging.outbox")).ShouldBe(0);
    }

    [Fact]
    public async Task Unsent_messages_of_a_group_can_be_taken_back()
    {
        await using var shop = await transport.StartAsync(Packing);
        shop.Crash();
        var (cancelled, other) = (NewId.NextGuid(), NewId.NextGuid());
        await shop.InScopeAsync(async (scope, db) =>
        {
            var publish = scope.GetRequiredService<IPublishEndpoint>();
            foreach (var id in new[] { cancelled, other })
            {
                await publish.Publish(new SubmitOrder(id), x => x.SetGroupKey(id));
                await publish.Publish(new CloseOrder(id), x => x.SetGroupKey(id));
            }

            await db.SaveChangesAsync();
        });

        await shop.InScopeAsync(async (_, db) =>
        {
            (await db.HasUnsentMessagesAsync<SubmitOrder>(cancelled, default)).ShouldBeTrue();
            (await db.DeleteUnsentMessagesAsync<SubmitOrder>(cancelled, default)).ShouldBe(1);
            (await db.HasUnsentMessagesAsync<SubmitOrder>(cancelled, default)).ShouldBeFalse();
            (await db.DeleteUnsentMessagesAsync(cancelled, default)).ShouldBe(1);
        });

        (await shop.CountAsync($"messaging.outbox WHERE group_key = '{other}'")).ShouldBe(2);
        var status = await OutboxStatus.ReadAsync(shop.DataSource, default);
        (status.Unsent, status.Due, status.Scheduled, status.Dead).ShouldBe((2, 2, 0, 0));
        status.OldestDueAge.ShouldBeGreaterThan(TimeSpan.Zero);
    }
}

public sealed class InMemoryOutboxTests(InMemoryTransport transport) : OutboxTests(transport), IClassFixture<InMemoryTransport>;

public sealed class RabbitMqOutboxTests(RabbitMqTransport transport) : OutboxTests(transport), IClassFixture<RabbitMqTransport>;
