using MassTransit;
using Messaging.Postgres.Inbox;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Support;

namespace Messaging.Postgres.Tests;

[Trait("Category", "Server")]
public sealed class InboxTests(PostgresServer server) : IClassFixture<PostgresServer>
{
    // Its consumer sends nothing: whatever comes twice is the twin.
    static readonly Action<IBusRegistrationConfigurator> Ready = bus => bus.AddConsumer<ReadyConsumer, ReadyDefinition>();

    static readonly Action<IBusRegistrationConfigurator> Packing = bus => bus.AddConsumer<PackingConsumer, PackingDefinition>();

    [Fact]
    public async Task A_twin_is_known_when_its_day_had_no_partition_yet_and_when_it_has_got_one()
    {
        await using var shop = await ShopHost.StartAsync(await server.CreateDatabaseAsync(), Ready);
        var partitions = shop.Services.GetRequiredService<InboxPartitions>();
        var today = DateOnly.FromDateTime(TimeProvider.System.GetUtcNow().UtcDateTime);
        var day = today.AddDays(10);
        var (order, message) = (NewId.NextGuid(), NewId.NextGuid());
        using var twins = new CountOf("messaging.inbox.duplicates");

        await SendAsync();
        await Eventually.TrueAsync(async () => await shop.EffectsAsync(order) == 1, "the message");
        (await shop.CountAsync($"messaging.inbox_default WHERE message_id = '{message}'")).ShouldBe(1);
        await SendAsync();
        await Eventually.TrueAsync(() => twins.Value == 1, "a twin to be dropped");
        await partitions.MaintainAsync(today.AddDays(5), default);
        (await shop.CountAsync($"messaging.inbox_{day:yyyyMMdd} WHERE message_id = '{message}'")).ShouldBe(1);
        await SendAsync();
        await Eventually.TrueAsync(() => twins.Value == 2, "another to be dropped");

        (await shop.EffectsAsync(order)).ShouldBe(1);

        Task SendAsync() => shop.Bus.Publish(new OrderReady(order), x =>
        {
            x.MessageId = message;
            x.Headers.Set(InboxDay.Header, InboxDay.Format(day.ToDateTime(default)));
        });
    }

    [Fact]
    public async Task Several_nodes_may_keep_the_partitions_at_once_while_messages_come()
    {
        var database = await server.CreateDatabaseAsync();
        var hosts = new List<ShopHost>();
        while (hosts.Count < 3)
            hosts.Add(await ShopHost.StartAsync(database, Ready));
        var today = DateOnly.FromDateTime(TimeProvider.System.GetUtcNow().UtcDateTime);
        var order = NewId.NextGuid();
        const int Days = 12;

        for (var day = 0; day <= Days; day++)
        {
            var later = today.AddDays(day);
            await Task.WhenAll([
                .. hosts.Select(host => host.Services.GetRequiredService<InboxPartitions>().MaintainAsync(later, default)),
                hosts[day % 3].Bus.Publish(new OrderReady(order), x => x.Headers.Set(InboxDay.Header, InboxDay.Format(later.AddDays(InboxPartitions.DaysAhead).ToDateTime(default)))),
            ]);
        }

        await Eventually.TrueAsync(async () => await hosts[0].EffectsAsync(order) == Days + 1, "every message");
        // Seven days back, today, and those ahead; and the default one.
        (await PartitionsAsync(hosts[0])).ShouldBe(7 + InboxPartitions.DaysAhead + 1);
        foreach (var host in hosts)
        {
            host.Logs.At(LogLevel.Error).ShouldBeEmpty();
            await host.DisposeAsync();
        }
    }

    [Fact]
    public async Task Old_days_are_dropped_and_coming_ones_prepared()
    {
        await using var shop = await ShopHost.StartAsync(await server.CreateDatabaseAsync());
        var partitions = shop.Services.GetRequiredService<InboxPartitions>();
        var today = DateOnly.FromDateTime(TimeProvider.System.GetUtcNow().UtcDateTime);
        await Eventually.TrueAsync(async () => await PartitionsAsync(shop) == InboxPartitions.DaysAhead + 1, "the first partitions");
        var early = today.AddDays(12);
        await shop.ExecuteAsync(
            $"INSERT INTO messaging.inbox SELECT d, gen_random_uuid(), gen_random_uuid() FROM unnest(ARRAY['{today:yyyy-MM-dd}', '{early:yyyy-MM-dd}', '2001-01-01']::date[]) d");

        await partitions.MaintainAsync(today.AddDays(7), default);
        (await shop.CountAsync($"messaging.inbox WHERE day = '{today:yyyy-MM-dd}'")).ShouldBe(1);
        (await shop.CountAsync($"messaging.inbox_{early:yyyyMMdd}")).ShouldBe(1);
        (await shop.CountAsync("messaging.inbox WHERE day < '2002-01-01'")).ShouldBe(0);

        await partitions.MaintainAsync(today.AddDays(8), default);
        (await shop.CountAsync($"messaging.inbox WHERE day = '{today:yyyy-MM-dd}'")).ShouldBe(0);
        (await PartitionsAsync(shop)).ShouldBe(7 + InboxPartitions.DaysAhead + 1);
        await partitions.MaintainAsync(today.AddDays(8), default);
    }

    [Fact]
    public async Task A_day_that_gets_its_partition_while_a_message_of_it_arrives_loses_none()
    {
        await using var shop = await ShopHost.StartAsync(await server.CreateDatabaseAsync(), Packing);
        var order = NewId.NextGuid();
        var day = DateOnly.FromDateTime(TimeProvider.System.GetUtcNow().UtcDateTime.AddDays(20));
        await using (var connection = await shop.DataSource.OpenConnectionAsync())
        await using (var transaction = await connection.BeginTransactionAsync())
        {
            await using var attach = new Npgsql.NpgsqlCommand(
                $"""
                CREATE TABLE messaging.inbox_{day:yyyyMMdd} (LIKE messaging.inbox INCLUDING ALL);
                ALTER TABLE messaging.inbox ATTACH PARTITION messaging.inbox_{day:yyyyMMdd} FOR VALUES FROM ('{day:yyyy-MM-dd}') TO ('{day.AddDays(1):yyyy-MM-dd}');
                """, connection, transaction);
            await attach.ExecuteNonQueryAsync();
            await shop.Bus.Publish(new PackOrder(order), x => x.Headers.Set(InboxDay.Header, InboxDay.Format(day.ToDateTime(default))));
            await Eventually.TrueAsync(async () => await shop.CountAsync("pg_locks WHERE NOT granted") > 0, "the inbox row to wait");
            await transaction.CommitAsync();
        }

        await Eventually.TrueAsync(async () => await shop.EffectsAsync(order) == 1, "the message");
        (await shop.CountAsync($"messaging.inbox_{day:yyyyMMdd}")).ShouldBe(1);
        (await shop.CountAsync("messaging.dead")).ShouldBe(0);
    }

    static Task<long> PartitionsAsync(ShopHost shop) => shop.CountAsync("pg_inherits WHERE inhparent = 'messaging.inbox'::regclass");
}
