using System.Collections.Concurrent;
using MassTransit;
using MassTransit.Serialization;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Messaging.Postgres.Outbox;

/// <summary>
/// Sees what is sent at once inside a message's transaction or a request, mostly by an injected <see cref="IBus"/>: it goes even if its
/// cause is rolled back, and is lost if the process dies. It is reported, not prevented.
/// </summary>
sealed partial class OutboxBypass(IHttpContextAccessor requests, ILogger<OutboxBypass> logger) : ISendObserver, IPublishObserver
{
    static readonly AsyncLocal<bool> InTransaction = new();
    readonly ConcurrentDictionary<Type, bool> _named = new();

    public static async Task WatchAsync(Func<Task> transaction)
    {
        InTransaction.Value = true;
        await transaction();
    }

    public Task PreSend<T>(SendContext<T> context)
        where T : class => Look(context);

    public Task PrePublish<T>(PublishContext<T> context)
        where T : class => Look(context);

    Task Look<T>(SendContext<T> context)
        where T : class
    {
        if ((!InTransaction.Value && requests.HttpContext is null) || IsMeant(context))
            return Task.CompletedTask;

        Telemetry.Bypassed.Add(1);
        if (_named.TryAdd(typeof(T), true))
            LogBypassed(typeof(T).Name, context.DestinationAddress);
        return Task.CompletedTask;
    }

    // The outbox's own sends, faults, which go because their cause is rolled back, and what says so.
    static bool IsMeant<T>(SendContext<T> context)
        where T : class =>
        typeof(T) == typeof(SerializedMessageBody) || typeof(Fault).IsAssignableFrom(typeof(T)) || context.TryGetPayload<DeliberateBypass>(out _);

    public Task PostSend<T>(SendContext<T> context)
        where T : class => Task.CompletedTask;

    public Task SendFault<T>(SendContext<T> context, Exception exception)
        where T : class => Task.CompletedTask;

    public Task PostPublish<T>(PublishContext<T> context)
        where T : class => Task.CompletedTask;

    public Task PublishFault<T>(PublishContext<T> context, Exception exception)
        where T : class => Task.CompletedTask;

    [LoggerMessage(LogLevel.Warning, "{MessageType} was sent past the outbox to {Destination}: it goes even if its cause is not saved. Said once for each type")]
    partial void LogBypassed(string messageType, Uri? destination);
}

/// <summary>Rides on a send context.</summary>
sealed record DeliberateBypass;
