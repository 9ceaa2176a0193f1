using System.Data.Common;
using Contracts;
using MassTransit;
using MassTransit.RabbitMqTransport;
using RabbitMQ.Client.Exceptions;

namespace Messaging;

/// <summary>What an error says about trying again.</summary>
public static class TransientError
{
    /// <summary>The same message may succeed in a moment: a deadlock, a lost connection, a full server.</summary>
    public static bool IsTransient(Exception exception) =>
        IsOutage(exception)
        || exception is UndoneTogetherException
        || Any(exception, static e => e is DbException { IsTransient: true } or ConcurrencyException or TransientException or FailureException { IsTransient: true });

    /// <summary>The database or the broker is not there. It says nothing about the message, so no try is counted.</summary>
    public static bool IsOutage(Exception exception) => exception is not UndoneTogetherException && Any(exception, static e => e switch
    {
        ConnectionException or TransportUnavailableException => true,
        BrokerUnreachableException or AlreadyClosedException or MessageNotAcknowledgedException => true,
        // 320: the broker closed the connection. Other codes are about what was asked of it.
        OperationInterruptedException interrupted => interrupted.ShutdownReason?.ReplyCode is null or 320,
        // A channel that was closed while somebody waited for his turn to publish on it.
        ObjectDisposedException disposed => disposed.StackTrace?.Contains("RabbitMQ", StringComparison.OrdinalIgnoreCase) == true,
        // 08: connection, 57P01 to 57P03: shut down, crashed or starting, 53300: too many connections.
        DbException { SqlState: { } state } => state.StartsWith("08", StringComparison.Ordinal) || state is "57P01" or "57P02" or "57P03" or "53300",
        // No answer at all. A timeout is counted all the same: it may be this message that takes too long.
        DbException { IsTransient: true, SqlState: null, InnerException: not TimeoutException } => true,
        _ => false,
    });

    /// <summary>The broker is there, but the queue is not: whoever reads it has never been started.</summary>
    public static bool HasNoReceiver(Exception exception) => Any(exception, static e => e is MessageReturnedException or RabbitMQ.Client.Exceptions.PublishException { IsReturn: true });

    static bool Any(Exception? exception, Func<Exception, bool> matches)
    {
        for (; exception is not null; exception = exception.InnerException)
        {
            if (matches(exception))
                return true;
            if (exception is AggregateException { InnerExceptions.Count: > 1 } several && several.InnerExceptions.Any(e => Any(e, matches)))
                return true;
        }

        return false;
    }
}

/// <summary>Something got in the way of a message that has nothing to do with it.</summary>
public sealed class TransientException(string message, Exception inner) : Exception(message, inner);

/// <summary>
/// The message shared a transaction with others, and something went wrong with one of them. It goes again at once and alone; no try is counted.
/// </summary>
public sealed class UndoneTogetherException(Exception inner) : Exception("A transaction of several messages was undone", inner);
