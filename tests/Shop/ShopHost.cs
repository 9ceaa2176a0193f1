using MassTransit;
using Messaging;
using Messaging.Postgres;
using Messaging.Postgres.Outbox;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;
using Support;

namespace Shop;

/// <summary>A host with the order saga and what a test adds. Several may run on one database, one after the other or at once.</summary>
public sealed class ShopHost : IAsyncDisposable
{
    readonly IHost _host;

    ShopHost(IHost host, NpgsqlDataSource dataSource, LogLines logs) =>
        (_host, DataSource, Logs, Bus) = (host, dataSource, logs, host.Services.GetRequiredService<IBus>());

    public NpgsqlDataSource DataSource { get; }

    public LogLines Logs { get; }

    public IBus Bus { get; }

    public IServiceProvider Services => _host.Services;

    /// <summary>Closed, nothing that is committed is sent: as if the process died right after each commit.</summary>
    internal BusGate Gate => _host.Services.GetRequiredService<BusGate>();

    public static async Task<ShopHost> StartAsync(
        string connectionString, Action<IBusRegistrationConfigurator>? bus = null, Action<PostgresMessagingOptions>? options = null,
        Action<IServiceCollection>? services = null, IEnumerable<KeyValuePair<string, string?>>? settings = null, bool awaitBus = true)
    {
        var text = new NpgsqlConnectionStringBuilder(connectionString) { MaxPoolSize = 20, NoResetOnClose = true, MaxAutoPrepare = 50, AutoPrepareMinUsages = 2 };
        var dataSource = NpgsqlDataSource.Create(text.ConnectionString);
        await CreateTablesAsync(dataSource);

        // Whatever used an earlier host's bus in this flow has left its log context here, and that host may be gone.
        LogContext.Current = null;
        var logs = new LogLines();
        var builder = Host.CreateApplicationBuilder(new HostApplicationBuilderSettings { DisableDefaults = true });
        builder.Configuration.AddInMemoryCollection(settings);
        builder.Logging.AddProvider(logs);
        builder.Services.AddSingleton(dataSource);
        builder.Services.AddDbContextPool<OrderContext>(db => db.UseNpgsql(dataSource));
        services?.Invoke(builder.Services);
        builder.AddMessaging(b =>
        {
            b.AddPostgresMessaging<OrderContext>(options);
            b.AddSagaStateMachine<OrderStateMachine, OrderState, OrderStateDefinition>();
            bus?.Invoke(b);
        });
        var host = builder.Build();
        await host.StartAsync();
        var shop = new ShopHost(host, dataSource, logs);
        if (awaitBus)
            await shop.BusIsReadyAsync();
        return shop;
    }

    public async Task BusIsReadyAsync()
    {
        try
        {
            await Gate.WaitAsync(CancellationToken.None).WaitAsync(TimeSpan.FromMinutes(1));
        }
        catch (TimeoutException)
        {
            var health = Services.GetRequiredService<IBusControl>().CheckHealth();
            throw new TimeoutException(
                $"The bus is not ready: {health.Description}\n{string.Join('\n', health.Endpoints.Select(e => $"{e.Key}: {e.Value.Description}"))}\n"
                + string.Join('\n', Logs.At(LogLevel.Warning).Concat(Logs.At(LogLevel.Error))));
        }
    }

    static async Task CreateTablesAsync(NpgsqlDataSource dataSource)
    {
        await using var command = dataSource.CreateCommand(
            // Hosts that start together on one database would run into each other.
            "SELECT pg_advisory_xact_lock(1);" + MessagingSchema.Sql + """

            CREATE SCHEMA IF NOT EXISTS shop;
            CREATE TABLE IF NOT EXISTS shop.orders ("CorrelationId" uuid PRIMARY KEY, "CurrentState" text NOT NULL, "Reference" text NOT NULL,
                "Transitions" int NOT NULL, "HoldsEnded" int NOT NULL, "HoldToken" uuid NULL);
            CREATE TABLE IF NOT EXISTS shop.effects ("Id" uuid PRIMARY KEY, "OrderId" uuid NOT NULL, "Name" text NOT NULL);
            """);
        await command.ExecuteNonQueryAsync();
    }

    public async Task InScopeAsync(Func<IServiceProvider, OrderContext, Task> work)
    {
        await using var scope = _host.Services.CreateAsyncScope();
        await work(scope.ServiceProvider, scope.ServiceProvider.GetRequiredService<OrderContext>());
    }

    /// <summary>Publishes through the outbox of a scope, as a request does.</summary>
    public Task PublishAsync<T>(T message)
        where T : class => InScopeAsync(async (scope, db) =>
    {
        await scope.GetRequiredService<IPublishEndpoint>().Publish(message);
        await db.SaveChangesAsync();
    });

    public async Task<OrderState?> OrderAsync(Guid id)
    {
        OrderState? found = null;
        await InScopeAsync(async (_, db) => found = await db.Orders.AsNoTracking().SingleOrDefaultAsync(o => o.CorrelationId == id));
        return found;
    }

    public Task OrderIsAsync(Guid id, Func<OrderState, bool> condition, string what) =>
        Eventually.TrueAsync(async () => await OrderAsync(id) is { } order && condition(order), what);

    public async Task<long> CountAsync(string sql)
    {
        await using var command = DataSource.CreateCommand("SELECT count(*) FROM " + sql);
        return (long)(await command.ExecuteScalarAsync())!;
    }

    public Task<long> EffectsAsync(Guid order) => CountAsync($"shop.effects WHERE \"OrderId\" = '{order}'");

    public async Task ExecuteAsync(string sql)
    {
        await using var command = DataSource.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }

    public Task OutboxIsEmptyAsync() => Eventually.TrueAsync(async () => await CountAsync("messaging.outbox") == 0, "an empty outbox");

    /// <summary>As after the time of a lease. Schedules keep theirs.</summary>
    public async Task LapseLeasesAsync()
    {
        await OutboxRecovery.FreeLeasesAsync(DataSource, CancellationToken.None);
        Services.GetRequiredService<OutboxWakeUp>().Now();
    }

    /// <summary>Ends without the courtesies of a stopping host.</summary>
    public void Crash() => Gate.Close();

    public Task StopAsync() => _host.StopAsync();

    public async ValueTask DisposeAsync()
    {
        await _host.StopAsync();
        if (_host is IAsyncDisposable disposable)
            await disposable.DisposeAsync();
        await DataSource.DisposeAsync();
    }
}

public sealed class LogLines : ILoggerProvider, ILogger
{
    readonly System.Collections.Concurrent.ConcurrentQueue<(LogLevel Level, string Text)> _lines = new();

    public IEnumerable<string> At(LogLevel level) => _lines.Where(l => l.Level == level).Select(l => l.Text);

    public ILogger CreateLogger(string categoryName) => this;

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Information;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
        _lines.Enqueue((logLevel, formatter(state, exception) + (exception is null ? "" : "\n" + exception)));

    public void Dispose()
    {
    }
}
