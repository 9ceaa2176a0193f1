using MassTransit;
using Messaging.Postgres;
using Microsoft.Extensions.DependencyInjection;
using Support;

namespace Messaging.Compliance.Tests;

/// <summary>A fixture: PostgreSQL, and what carries the messages. Each suite runs once on each.</summary>
public abstract class Transport : IAsyncLifetime
{
    readonly PostgresServer _postgres = new();

    public virtual Task InitializeAsync() => _postgres.InitializeAsync();

    public virtual Task DisposeAsync() => _postgres.DisposeAsync();

    /// <summary>A fresh database and, where there is a broker, a fresh part of it.</summary>
    public async Task<Site> OpenAsync() => new(await _postgres.CreateDatabaseAsync(), await SettingsAsync());

    /// <summary>The one host of a site of its own.</summary>
    public async Task<ShopHost> StartAsync(
        Action<IBusRegistrationConfigurator>? bus = null, Action<PostgresMessagingOptions>? options = null, Action<IServiceCollection>? services = null) =>
        await (await OpenAsync()).StartAsync(bus, options, services);

    protected abstract Task<IReadOnlyDictionary<string, string?>> SettingsAsync();
}

/// <summary>Where hosts meet: those of one site share database and broker.</summary>
public sealed record Site(string Database, IReadOnlyDictionary<string, string?> Settings)
{
    /// <summary>On RabbitMQ.</summary>
    public string VirtualHost => Settings["Messaging:RabbitMq:VirtualHost"]!;

    public Task<ShopHost> StartAsync(
        Action<IBusRegistrationConfigurator>? bus = null, Action<PostgresMessagingOptions>? options = null, Action<IServiceCollection>? services = null,
        bool awaitBus = true) =>
        ShopHost.StartAsync(Database, bus, options, services, Settings, awaitBus);
}

public sealed class InMemoryTransport : Transport
{
    protected override Task<IReadOnlyDictionary<string, string?>> SettingsAsync() =>
        Task.FromResult<IReadOnlyDictionary<string, string?>>(new Dictionary<string, string?>());
}

public sealed class RabbitMqTransport : Transport
{
    readonly RabbitMqServer _rabbit = new();
    readonly List<string> _virtualHosts = [];

    public RabbitMqProcess Broker => _rabbit.Process;

    public override async Task InitializeAsync()
    {
        await _rabbit.InitializeAsync();
        await base.InitializeAsync();
    }

    public override async Task DisposeAsync()
    {
        foreach (var virtualHost in _virtualHosts)
            await Broker.DeleteVirtualHostAsync(virtualHost);
        await base.DisposeAsync();
    }

    protected override async Task<IReadOnlyDictionary<string, string?>> SettingsAsync()
    {
        var virtualHost = await Broker.CreateVirtualHostAsync();
        _virtualHosts.Add(virtualHost);
        return Broker.Settings(virtualHost);
    }
}
