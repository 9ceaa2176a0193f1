using MassTransit;
using MassTransit.RetryPolicies;

namespace Messaging;

/// <summary>
/// The platform's one retry policy. Transient errors get five more tries, 50 ms to 5 s apart with jitter. While the database or
/// the broker is away the message waits, and the endpoint with it, without a try being counted. What was undone together with other
/// messages goes again at once, and that is no try either. Other errors are not retried.
/// </summary>
public static class TransientRetry
{
    internal const int Tries = 5;

    public static void UseTransientRetry(this IReceiveEndpointConfigurator endpoint) =>
        endpoint.UseMessageRetry(retry => retry.SetRetryPolicy(_ => new TransientRetryPolicy()));

    internal static TimeSpan Delay(int counted, bool outage) =>
        Jitter(outage ? TimeSpan.FromSeconds(2) : TimeSpan.FromMilliseconds(Math.Min(50 * Math.Pow(3, counted), 5000)));

    static TimeSpan Jitter(TimeSpan delay) => delay * (0.75 + Random.Shared.NextDouble() / 2);
}

sealed class TransientRetryPolicy : IRetryPolicy
{
    public RetryPolicyContext<T> CreatePolicyContext<T>(T context)
        where T : class, PipeContext => new TransientRetryPolicyContext<T>(this, context);

    public bool IsHandled(Exception exception) => TransientError.IsTransient(exception);

    public void Probe(ProbeContext context) => context.CreateScope("transientRetry");
}

sealed class TransientRetryPolicyContext<TContext>(IRetryPolicy policy, TContext context) : BaseRetryPolicyContext<TContext>(policy, context)
    where TContext : class, PipeContext
{
    protected override RetryContext<TContext> CreateRetryContext(Exception exception, CancellationToken cancellationToken) =>
        new TransientRetryContext<TContext>(Context, exception, 0, 0, cancellationToken);
}

/// <param name="counted">Tries that failed for a reason of their own, not because something was away.</param>
sealed class TransientRetryContext<TContext>(TContext context, Exception exception, int tries, int counted, CancellationToken cancellationToken)
    : BaseRetryContext<TContext>(context, exception, tries, cancellationToken), RetryContext<TContext>
    where TContext : class, PipeContext
{
    readonly bool _outage = TransientError.IsOutage(exception);
    readonly bool _together = exception is UndoneTogetherException;

    public override TimeSpan? Delay => _together ? TimeSpan.Zero : TransientRetry.Delay(counted, _outage);

    bool RetryContext<TContext>.CanRetry(Exception exception, out RetryContext<TContext> retryContext)
    {
        var next = _outage || _together ? counted : counted + 1;
        retryContext = new TransientRetryContext<TContext>(Context, exception, RetryCount + 1, next, CancellationToken);
        return TransientError.IsTransient(exception) && (next < TransientRetry.Tries || exception is UndoneTogetherException || TransientError.IsOutage(exception));
    }
}
