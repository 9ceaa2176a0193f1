using Contracts;
using MassTransit;
using Messaging;
using Messaging.Postgres;
using Microsoft.Extensions.Options;
using ServiceDefaults;

namespace Api.Models;

/// <summary>Asks whichever worker is free to look at a file, and waits for what it says.</summary>
sealed class InspectionWorker(IBus bus, IOptions<ApiOptions> options, TimeProvider clock)
{
    static readonly TimeSpan ToSend = TimeSpan.FromSeconds(2);

    /// <param name="field">What the caller called the file; failures name it.</param>
    /// <exception cref="FailureException">What the worker says is wrong with it, or <c>no_worker</c>.</exception>
    // By the bus itself: the scope's own client would write the question to the outbox, where it waits for a commit that waits for the answer.
    public async Task<TAnswer> AskAsync<TQuestion, TAnswer>(TQuestion asked, string field, CancellationToken cancellationToken)
        where TQuestion : class
        where TAnswer : class
    {
        try
        {
            var client = bus.CreateRequestClient<TQuestion>(RequestTimeout.After(ms: (int)options.Value.InspectTimeout.TotalMilliseconds));
            // On a thread of its own: the first question of a process blocks its caller until the broker is there.
            var question = Task.Run(() => client.GetResponse<TAnswer, ModelRefused>(
                asked, message => message.UseExecute(context => context.BypassOutbox()), cancellationToken), cancellationToken);
            // The client's own time begins when its question is sent, which it is not while the broker is away.
            var answer = await question.WaitAsync(options.Value.InspectTimeout + ToSend, clock, cancellationToken);
            if (answer.Is(out Response<ModelRefused>? refused))
                throw Refused(field, refused!.Message.Failure);
            return answer.Is(out Response<TAnswer>? good) ? good!.Message : throw new InvalidOperationException("Neither answer came.");
        }
        catch (RequestTimeoutException e)
        {
            throw new FailureException(new Failure("no_worker", "No worker looked at the model in time. Try again when a worker runs."), isTransient: true, e);
        }
        catch (Exception e) when (e is TimeoutException || TransientError.IsOutage(e))
        {
            throw new FailureException(new Failure("no_worker", "No worker can be asked: the broker is away. Try again later."), isTransient: true, e);
        }
        catch (RequestFaultException e)
        {
            throw Refused(field, new Failure("model_unusable", $"The model could not be opened: {e.Fault?.Exceptions.FirstOrDefault()?.Message}"), e);
        }
    }

    // The worker names the model's inputs; the caller gave a file that has them.
    static FailureException Refused(string field, Failure failure, Exception? inner = null)
    {
        // Nothing is wrong with the file then.
        if (FailureStatus.Of(failure.Code) == 503)
            return new FailureException(failure, isTransient: true, inner);
        IReadOnlyList<FieldFailure> fields = failure.Fields.Count == 0
            ? [new FieldFailure(field, failure.Code, failure.Message)]
            : [.. failure.Fields.Select(f => f with { Field = $"{field}.{f.Field}" })];
        return new FailureException(failure with { Fields = fields }, inner: inner);
    }
}
