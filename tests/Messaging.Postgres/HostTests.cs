using System.Diagnostics;
using System.Diagnostics.Metrics;
using MassTransit;
using MassTransit.Logging;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Support;

namespace Messaging.Postgres.Tests;

[Trait("Category", "Server")]
public sealed class HostTests(PostgresServer server) : IClassFixture<PostgresServer>
{
    [Fact]
    public void Nobody_outside_hears_how_the_bus_is_used()
    {
        var builder = Host.CreateApplicationBuilder(new HostApplicationBuilderSettings { DisableDefaults = true });
        builder.AddMessaging(_ => { });
        using var host = builder.Build();

        host.Services.GetRequiredService<IOptions<UsageTelemetryOptions>>().Value.Enabled.ShouldBeFalse();
    }

    [Fact]
    public async Task A_consumer_that_a_stopping_host_holds_is_finished_and_its_message_sent_after_the_next_start()
    {
        var database = await server.CreateDatabaseAsync();
        var door = new Door();
        var order = NewId.NextGuid();
        var shop = await ShopHost.StartAsync(
            database, bus => bus.AddConsumer<WaitingConsumer, WaitingDefinition>(), services: s => s.AddSingleton(door));
        await shop.Bus.Publish(new PackOrder(order));
        await door.Entered.Task.WaitAsync(TimeSpan.FromSeconds(30));

        var stopping = shop.StopAsync();
        await Eventually.TrueAsync(() => !shop.Gate.IsOpen, "the bus to stop");
        stopping.IsCompleted.ShouldBeFalse();
        door.Opened.SetResult();
        await stopping;
        // Its lease is given up: whoever sweeps next need not wait for it to lapse.
        (await shop.CountAsync("messaging.outbox WHERE visible_at <= now()")).ShouldBe(1);
        await shop.DisposeAsync();

        await using var restarted = await ShopHost.StartAsync(database, bus => bus.AddConsumer<ReadyConsumer, ReadyDefinition>());
        await Eventually.TrueAsync(async () => await restarted.EffectsAsync(order) == 2, "both effects");
        await restarted.OutboxIsEmptyAsync();
    }

    [Fact]
    public async Task A_consumer_that_outlasts_a_stopping_hosts_patience_makes_no_dead_letter()
    {
        var door = new Door();
        var order = NewId.NextGuid();
        await using var shop = await ShopHost.StartAsync(
            await server.CreateDatabaseAsync(), bus => bus.AddConsumer<WaitingConsumer, WaitingDefinition>(), services: s =>
            {
                s.AddSingleton(door);
                s.PostConfigure<MassTransitHostOptions>(o => o.ConsumerStopTimeout = TimeSpan.FromMilliseconds(200));
            });
        await shop.Bus.Publish(new PackOrder(order));
        await door.Entered.Task.WaitAsync(TimeSpan.FromSeconds(30));

        await shop.StopAsync();

        (await shop.EffectsAsync(order)).ShouldBe(0);
        (await shop.CountAsync("messaging.outbox") + await shop.CountAsync("messaging.dead")).ShouldBe(0);
        shop.Logs.At(LogLevel.Error).ShouldNotContain(l => l.Contains("kept as a dead letter"));
    }

    [Fact]
    public async Task One_trace_leads_from_a_request_to_the_last_consumer()
    {
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name is Telemetry.SourceName or "MassTransit" or nameof(HostTests),
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData,
        };
        ActivitySource.AddActivityListener(listener);
        using var source = new ActivitySource(nameof(HostTests));
        await using var shop = await ShopHost.StartAsync(await server.CreateDatabaseAsync(), bus =>
        {
            bus.AddConsumer<PackingConsumer, PackingDefinition>();
            bus.AddConsumer<TraceConsumer>().Endpoint(e => e.Name = "trace");
        }, services: s => s.AddSingleton(new Door()));

        string request;
        using (var activity = source.StartActivity("request"))
        {
            request = activity!.TraceId.ToString();
            await shop.PublishAsync(new SubmitOrder(NewId.NextGuid()));
        }

        (await shop.Services.GetRequiredService<Door>().Trace.Task.WaitAsync(TimeSpan.FromSeconds(30))).ShouldBe(request);
    }

    [Fact]
    public async Task Where_nobody_records_the_trace_is_carried_all_the_same()
    {
        await using var shop = await ShopHost.StartAsync(await server.CreateDatabaseAsync(), bus =>
        {
            bus.AddConsumer<ForwardingConsumer>().Endpoint(e => e.Name = "forwarding");
            bus.AddConsumer<TraceConsumer>().Endpoint(e => e.Name = "trace");
        }, services: s => s.AddSingleton(new Door()));
        var door = shop.Services.GetRequiredService<Door>();
        var order = NewId.NextGuid();

        // As an HTTP server makes it for a request that says: not sampled.
        using (var request = new Activity("request").SetParentId("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00").Start())
            await shop.PublishAsync(new SubmitOrder(order));

        (await door.Header.Task.WaitAsync(TimeSpan.FromSeconds(30))).ShouldMatch("^00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-00$");
        shop.Logs.At(LogLevel.Error).ShouldBeEmpty();
    }

    [Fact]
    public async Task Gauges_tell_how_the_outbox_stands()
    {
        await using var shop = await ShopHost.StartAsync(await server.CreateDatabaseAsync(), options: o => o.GaugeInterval = TimeSpan.FromSeconds(1));
        shop.Crash();
        await shop.PublishAsync(new SubmitOrder(NewId.NextGuid()));
        await shop.InScopeAsync(async (scope, db) =>
        {
            await scope.GetRequiredService<IMessageScheduler>().SchedulePublish(TimeProvider.System.GetUtcNow().UtcDateTime.AddHours(1), new OrderReady(NewId.NextGuid()));
            await db.SaveChangesAsync();
        });
        await shop.ExecuteAsync(
            "UPDATE messaging.outbox SET sent_at = now() - interval '1 hour', visible_at = now() WHERE due_at IS NULL;"
            + "INSERT INTO messaging.dead (id, queue, reason, message_type, content_type, body) SELECT gen_random_uuid(), '', '', '', '', '' FROM generate_series(1, 3)");
        var read = new System.Collections.Concurrent.ConcurrentDictionary<string, double>();
        using var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, l) =>
        {
            if (instrument.Meter.Name == Telemetry.MeterName && instrument.IsObservable)
                l.EnableMeasurementEvents(instrument);
        };
        listener.SetMeasurementEventCallback<long>((instrument, value, _, _) => read[instrument.Name] = value);
        listener.SetMeasurementEventCallback<double>((instrument, value, _, _) => read[instrument.Name] = value);
        listener.Start();

        await Eventually.TrueAsync(() =>
        {
            listener.RecordObservableInstruments();
            return read.GetValueOrDefault("messaging.dead.depth") == 3 && read.GetValueOrDefault("messaging.outbox.depth") == 2 && read.GetValueOrDefault("messaging.outbox.due") == 1
                && read.GetValueOrDefault("messaging.outbox.oldest_due_age") is > 3500 and < 7200;
        }, "the figures");
    }

    [Fact]
    public async Task Outside_a_transaction_a_schedule_is_written_at_once()
    {
        await using var shop = await ShopHost.StartAsync(await server.CreateDatabaseAsync(), bus =>
        {
            bus.AddConsumer<SchedulingConsumer>().Endpoint(e => e.Name = "scheduling");
            bus.AddConsumer<ReadyConsumer, ReadyDefinition>();
        });
        var order = NewId.NextGuid();

        await shop.Bus.Publish(new PackOrder(order));

        await Eventually.TrueAsync(async () => await shop.CountAsync("messaging.dead WHERE queue = 'scheduling'") == 1, "the consumer's failure");
        await Eventually.TrueAsync(async () => await shop.EffectsAsync(order) == 1, "the message it had scheduled before");
    }
}

public sealed class TraceConsumer(Door door) : IConsumer<OrderReady>
{
    public Task Consume(ConsumeContext<OrderReady> context)
    {
        door.Trace.TrySetResult(Activity.Current?.TraceId.ToString() ?? "none");
        door.Header.TrySetResult(context.Headers.Get<string>(DiagnosticHeaders.ActivityId) ?? "none");
        return Task.CompletedTask;
    }
}

/// <summary>Without a database, as a worker is: what it publishes goes at once.</summary>
public sealed class ForwardingConsumer : IConsumer<PackOrder>
{
    public Task Consume(ConsumeContext<PackOrder> context) => context.Publish(new OrderReady(context.Message.OrderId));
}

public sealed class SchedulingConsumer : IConsumer<PackOrder>
{
    public async Task Consume(ConsumeContext<PackOrder> context)
    {
        await context.SchedulePublish(TimeSpan.FromMilliseconds(200), new OrderReady(context.Message.OrderId));
        throw new InvalidOperationException("afterwards");
    }
}
