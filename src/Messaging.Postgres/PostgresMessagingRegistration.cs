using MassTransit;
using MassTransit.Configuration;
using MassTransit.DependencyInjection;
using MassTransit.Middleware;
using MassTransit.Saga;
using Messaging.Postgres.DeadLetters;
using Messaging.Postgres.Inbox;
using Messaging.Postgres.Outbox;
using Messaging.Postgres.SagaPersistence;
using Messaging.Postgres.Scheduling;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Npgsql;

namespace Messaging.Postgres;

/// <summary>
/// Durable messaging on one PostgreSQL and one DbContext. Use: <c>migrationBuilder.CreateMessagingSchema()</c> in a migration,
/// <c>modelBuilder.MapOutbox()</c> in the DbContext, <c>bus.AddPostgresMessaging&lt;T&gt;()</c> inside <c>AddMessaging</c>, and
/// <c>endpoint.UsePostgresOutbox&lt;T&gt;(context)</c> in the definition of each saga or consumer that writes to the database. The host
/// registers the DbContext and an <c>NpgsqlDataSource</c>.
/// </summary>
public static class PostgresMessagingRegistration
{
    /// <summary>Saga repository for every saga, bus outbox, scheduler, <see cref="ConsumeTransaction{TDbContext}"/>, sweeper and dead letters.</summary>
    public static void AddPostgresMessaging<TDbContext>(this IBusRegistrationConfigurator bus, Action<PostgresMessagingOptions>? configure = null)
        where TDbContext : DbContext
    {
        var options = new PostgresMessagingOptions();
        configure?.Invoke(options);
        bus.AddOptions<PostgresMessagingOptions>().Configure(o => configure?.Invoke(o)).BindConfiguration(PostgresMessagingOptions.Section)
            // Known here and now, before there is a configuration.
            .Configure(o => o.DrainDeadLetters = options.DrainDeadLetters).ValidateDataAnnotations().ValidateOnStart();

        bus.SetSagaRepositoryProvider(new PostgresSagaRepositories<TDbContext>());
        bus.AddOutbox<TDbContext>();
        bus.AddScheduler<TDbContext>();
        if (options.DrainDeadLetters)
            bus.AddConsumer<DeadLetterConsumer, DeadLetterConsumerDefinition>();
    }

    /// <summary>
    /// One transaction for inbox, the consumer's or saga's work and its messages; under load, messages that wait at the endpoint share one.
    /// Includes <see cref="TransientRetry"/>. The consumer opens no transaction of its own; SaveChanges is called for it. It touches
    /// PostgreSQL only, or others would wait for it.
    /// </summary>
    public static void UsePostgresOutbox<TDbContext>(
        this IReceiveEndpointConfigurator endpoint, IRegistrationContext context, Action<EndpointOutboxOptions>? configure = null)
        where TDbContext : DbContext
    {
        var options = new EndpointOutboxOptions();
        configure?.Invoke(options);
        endpoint.UseTransientRetry();
        if (options.WithoutInbox)
            endpoint.Connect(new OutboxConsumePipeSpecificationObserver<WithoutInbox<TDbContext>>(endpoint, context));
        else if (options.OneByOne)
            endpoint.Connect(new OutboxConsumePipeSpecificationObserver<OneByOne<TDbContext>>(endpoint, context));
        else
            endpoint.Connect(new OutboxConsumePipeSpecificationObserver<TDbContext>(endpoint, context));
    }

    static void Connect<T>(this IReceiveEndpointConfigurator endpoint, OutboxConsumePipeSpecificationObserver<T> observer)
        where T : class
    {
        endpoint.ConnectConsumerConfigurationObserver(observer);
        endpoint.ConnectSagaConfigurationObserver(observer);
        endpoint.ConnectActivityConfigurationObserver(observer);
    }

    static void AddOutbox<TDbContext>(this IBusRegistrationConfigurator bus)
        where TDbContext : DbContext
    {
        bus.AddSingleton(services => new BusTransport(
            services.GetRequiredService<IOptions<MessagingOptions>>().Value.Kind == TransportKind.InMemory));
        bus.AddSingleton<BusGate>();
        bus.AddBusObserver(services => services.GetRequiredService<BusGate>());
        bus.AddSingleton<OutboxWakeUp>();
        bus.AddSingleton<OutboxSender>();
        bus.AddSingleton<OutboxInterceptor>();
        bus.AddRunning<SentMessages>();
        bus.AddRunning<OutboxDispatcher>();
        bus.AddRunning<OutboxNotices>();
        bus.AddRunning<OutboxSweeper>();
        bus.AddRunning<OutboxGauges>();
        bus.AddRunning<InboxPartitions>();
        bus.AddSingleton(services => new DeadLetterBox(
            services.GetRequiredService<NpgsqlDataSource>(), services.GetRequiredService<OutboxWakeUp>(), services.GetRequiredService<TimeProvider>(),
            services.GetRequiredService<ILogger<DeadLetterBox>>()));
        bus.AddHttpContextAccessor();
        bus.AddSingleton<OutboxBypass>();
        bus.AddSendObserver<OutboxBypass>(services => services.GetRequiredService<OutboxBypass>());
        bus.AddPublishObserver<OutboxBypass>(services => services.GetRequiredService<OutboxBypass>());

        bus.AddSingleton<CommitGroups>();
        bus.AddScoped<ConsumerOutbox<TDbContext>>();
        bus.AddScoped<IOutboxContextFactory<TDbContext>, ConsumerOutboxFactory<TDbContext>>();
        bus.AddScoped<IOutboxContextFactory<OneByOne<TDbContext>>, ConsumerOutboxFactoryOneByOne<TDbContext>>();
        bus.AddScoped<IOutboxContextFactory<WithoutInbox<TDbContext>>, ConsumerOutboxFactoryWithoutInbox<TDbContext>>();
        bus.AddScoped(services => new ConsumeTransaction<TDbContext>(
            services.GetRequiredService<TDbContext>(), services.GetRequiredService<ConsumerOutbox<TDbContext>>()));

        bus.ReplaceScoped<IScopedBusContextProvider<IBus>, BusOutbox<TDbContext>>();
        bus.ConfigureDbContext<TDbContext>((services, db) => db.AddInterceptors(services.GetRequiredService<OutboxInterceptor>()));
    }

    static void AddScheduler<TDbContext>(this IBusRegistrationConfigurator bus)
        where TDbContext : DbContext
    {
        bus.AddSingleton<OutboxSchedulerFilter>();
        bus.AddSingleton(new BusSettings((context, factory) =>
            factory.UseFilter<ConsumeContext>(context.GetRequiredService<OutboxSchedulerFilter>())));
        bus.AddScoped(services => BusOutboxScheduler.Create(
            services.GetRequiredService<TDbContext>(), services.GetRequiredService<IBus>(),
            services.GetRequiredService<IScopedBusContextProvider<IBus>>(), services.GetRequiredService<ScopedConsumeContextProvider>()));
    }

    static void AddRunning<T>(this IServiceCollection services)
        where T : class, Microsoft.Extensions.Hosting.IHostedService
    {
        services.AddSingleton<T>();
        services.AddHostedService(provider => provider.GetRequiredService<T>());
    }
}

/// <summary>How one endpoint uses the outbox.</summary>
public sealed class EndpointOutboxOptions
{
    /// <summary>
    /// Leaves out the inbox. For batch consumers, whose batch has the id of one member: an inbox row would stand for many. What they do
    /// must be harmless when done twice.
    /// </summary>
    public bool WithoutInbox { get; set; }

    /// <summary>
    /// Gives each message a transaction of its own, also under load. For consumers that lock rows in an order of their own, which a shared
    /// transaction would not keep. Default: false.
    /// </summary>
    public bool OneByOne { get; set; }
}

sealed class PostgresSagaRepositories<TDbContext> : ISagaRepositoryRegistrationProvider
    where TDbContext : DbContext
{
    public void Configure<TSaga>(ISagaRegistrationConfigurator<TSaga> configurator)
        where TSaga : class, ISaga => configurator.Repository(repository =>
    {
        repository.RegisterLoadSagaRepository<TSaga, PostgresSagaRepositoryContextFactory<TDbContext, TSaga>>();
        repository.RegisterQuerySagaRepository<TSaga, PostgresSagaRepositoryContextFactory<TDbContext, TSaga>>();
        repository.RegisterSagaRepository<
            TSaga, DbContext, SagaConsumeContextFactory<DbContext, TSaga>, PostgresSagaRepositoryContextFactory<TDbContext, TSaga>>();
    });
}
