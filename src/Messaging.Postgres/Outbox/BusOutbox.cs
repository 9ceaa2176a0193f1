using MassTransit;
using MassTransit.Clients;
using MassTransit.DependencyInjection;
using MassTransit.Middleware;
using MassTransit.Middleware.Outbox;
using MassTransit.Transports;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging;

namespace Messaging.Postgres.Outbox;

/// <summary>What a scope outside the bus (a request, a dispatcher) sends is saved with its DbContext and goes out after the commit.</summary>
sealed partial class BusOutbox<TDbContext> : IScopedBusContextProvider<IBus>, IDisposable
    where TDbContext : DbContext
{
    readonly OutboxBuffer? _buffer;
    readonly ILogger _logger;

    public BusOutbox(
        IBus bus, TDbContext db, OutboxInterceptor interceptor, Bind<IBus, IClientFactory> clients, ScopedConsumeContextProvider consuming,
        IServiceProvider provider, ILogger<BusOutbox<TDbContext>> logger)
    {
        _logger = logger;
        if (consuming.HasContext)
        {
            Context = new ConsumeContextScopedBusContext(consuming.GetContext(), clients.Value);
            return;
        }

        _buffer = interceptor.BufferOf(db);
        Context = new BusOutboxContext(bus, _buffer, clients.Value, provider);
    }

    public ScopedBusContext Context { get; }

    public void Dispose()
    {
        var lost = _buffer?.TakeUnsaved() ?? 0;
        if (lost == 0)
            return;
        Telemetry.NeverSaved.Add(lost);
        LogNeverSaved(_logger, lost, typeof(TDbContext).Name);
    }

    [LoggerMessage(LogLevel.Warning, "{Count} messages were published but never sent: the scope ended without SaveChanges on {DbContext} after them")]
    static partial void LogNeverSaved(ILogger logger, int count, string dbContext);
}

sealed class BusOutboxContext(IBus bus, OutboxBuffer buffer, IClientFactory clients, IServiceProvider provider) : ScopedBusContext, OutboxSendContext
{
    public ISendEndpointProvider SendEndpointProvider => field ??= new OutboxSendEndpointProvider(this, bus);

    public IPublishEndpoint PublishEndpoint => field ??= new PublishEndpoint(new OutboxPublishEndpointProvider(this, bus));

    public IScopedClientFactory ClientFactory =>
        field ??= new ScopedClientFactory(new ClientFactory(new ScopedClientFactoryContext(clients, provider)), null!);

    public Task AddSend<T>(SendContext<T> context)
        where T : class
    {
        buffer.Add(context);
        return Task.CompletedTask;
    }

    public object? GetService(Type serviceType) => provider.GetService(serviceType);
}
