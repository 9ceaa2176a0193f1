using MassTransit;
using MassTransit.RetryPolicies;

namespace Messaging;

/// <summary>
/// The platform's one retry policy. Transient errors get five more tries, 50 ms to 5 s apart with jitter. What was undone
/// together with other messages goes again at once, and that is no try either. Other errors are not retried.
/// <para>
/// While the database or the broker is away the message waits, and the endpoint with it, without a try being counted. What waits is what
/// the endpoint has prefetched, and the broker sends no more until it is answered: the memory is bounded by the prefetch. A broker message
/// waits for less than a minute and then goes back to its queue, where it is safe, and comes again. So RabbitMQ's consumer timeout of
/// 30 minutes never passes: it would close the channel and deliver everything once more beside what still waits here. On the
/// in-memory bus there is nowhere to go back to, and it waits for as long as it takes.
/// </para>
/// </summary>
public static class TransientRetry
{
    internal const int Tries = 5;

    /// <summary>How long an endpoint holds a message of a broker through an outage.</summary>
    public static readonly TimeSpan LongestHold = TimeSpan.FromSeconds(50);

    public static void UseTransientRetry(this IReceiveEndpointConfigurator endpoint)
    {
        var hold = endpoint is IRabbitMqReceiveEndpointConfigurator ? LongestHold : TimeSpan.MaxValue;
        endpoint.UseMessageRetry(retry => retry.SetRetryPolicy(_ => new TransientRetryPolicy(hold, TimeProvider.System)));
    }

    internal static TimeSpan Delay(int counted, bool outage) =>
        Jitter(outage ? TimeSpan.FromSeconds(2) : TimeSpan.FromMilliseconds(Math.Min(50 * Math.Pow(3, counted), 5000)));

    static TimeSpan Jitter(TimeSpan delay) => delay * (0.75 + Random.Shared.NextDouble() / 2);
}

/// <param name="hold">A message is given up after this long in an outage.</param>
sealed class TransientRetryPolicy(TimeSpan hold, TimeProvider clock) : IRetryPolicy
{
    public RetryPolicyContext<T> CreatePolicyContext<T>(T context)
        where T : class, PipeContext => new TransientRetryPolicyContext<T>(this, context);

    public bool IsHandled(Exception exception) => TransientError.IsTransient(exception);

    public long Now() => clock.GetTimestamp();

    public bool MayHold(long since) => clock.GetElapsedTime(since) < hold;

    public void Probe(ProbeContext context) => context.CreateScope("transientRetry");
}

sealed class TransientRetryPolicyContext<TContext>(TransientRetryPolicy policy, TContext context) : BaseRetryPolicyContext<TContext>(policy, context)
    where TContext : class, PipeContext
{
    protected override RetryContext<TContext> CreateRetryContext(Exception exception, CancellationToken cancellationToken) =>
        new TransientRetryContext<TContext>(policy, Context, exception, 0, 0, policy.Now(), cancellationToken);
}

/// <param name="counted">Tries that failed for a reason of their own, not because something was away.</param>
/// <param name="since">When the first try failed.</param>
sealed class TransientRetryContext<TContext>(
    TransientRetryPolicy policy, TContext context, Exception exception, int tries, int counted, long since, CancellationToken cancellationToken)
    : BaseRetryContext<TContext>(context, exception, tries, cancellationToken), RetryContext<TContext>
    where TContext : class, PipeContext
{
    readonly bool _outage = TransientError.IsOutage(exception);
    readonly bool _together = exception is UndoneTogetherException;

    public override TimeSpan? Delay => _together ? TimeSpan.Zero : TransientRetry.Delay(counted, _outage);

    bool RetryContext<TContext>.CanRetry(Exception exception, out RetryContext<TContext> retryContext)
    {
        var next = _outage || _together ? counted : counted + 1;
        retryContext = new TransientRetryContext<TContext>(policy, Context, exception, RetryCount + 1, next, since, CancellationToken);
        return TransientError.IsOutage(exception)
            ? policy.MayHold(since)
            : TransientError.IsTransient(exception) && (next < TransientRetry.Tries || exception is UndoneTogetherException);
    }
}
