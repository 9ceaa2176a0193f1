using MassTransit;
using Messaging.Postgres.Inbox;
using Messaging.Postgres.SagaPersistence;
using Microsoft.EntityFrameworkCore;

namespace Messaging.Postgres.Outbox;

/// <summary>
/// A message on its way through a transaction that it may share. Members take turns: at any time the body of one runs, until it is done
/// or wants its saga. Sagas are then read together.
/// </summary>
/// <param name="body">Consumes the message; what it changes is saved by whoever leads.</param>
sealed class GroupMember(DbContext db, InboxKey? inbox, IOutboxTransaction outbox, Func<Task> body, CancellationToken cancellationToken)
{
    // Of the message: its trace and its log context.
    readonly ExecutionContext? _flow = ExecutionContext.Capture();
    readonly TaskCompletionSource<bool> _called = Signal<bool>();
    Task? _running;
    TaskCompletionSource? _waiting;
    TaskCompletionSource? _resumed;

    public DbContext Db => db;

    public InboxKey? Inbox => inbox;

    public IOutboxTransaction Outbox => outbox;

    public CancellationToken CancellationToken => cancellationToken;

    /// <summary>Set while it waits for its saga, and after.</summary>
    public SagaRequest? Request { get; private set; }

    public bool IsDuplicate { get; set; }

    /// <summary>Whether the body has run to its end.</summary>
    public bool IsConsumed { get; private set; }

    /// <summary>Timestamp of <see cref="TimeProvider.GetTimestamp"/> taken before its messages were inserted.</summary>
    public long InsertedAt { get; set; }

    public void Lead() => _called.SetResult(true);

    public void Committed() => _called.SetResult(false);

    public void Undone(UndoneTogetherException exception) => _called.SetException(exception);

    /// <summary>One whose host stops is not taken along.</summary>
    public bool IsCancelled() => cancellationToken.IsCancellationRequested && _called.TrySetCanceled(cancellationToken);

    /// <summary>True: this one leads the next group. False: it was in a group that is committed.</summary>
    public Task<bool> LeadsAsync() => _called.Task;

    public async Task RunAloneAsync()
    {
        await body();
        IsConsumed = true;
    }

    /// <summary>Runs the body, with nobody else's running, until it is done or waits for its saga.</summary>
    public async Task TakeTurnAsync()
    {
        _waiting = Signal();
        if (_resumed is { } resumed)
        {
            _resumed = null;
            resumed.SetResult();
        }
        else if (_flow is { } flow)
        {
            ExecutionContext.Run(flow, static member => ((GroupMember)member!).Start(), this);
        }
        else
        {
            Start();
        }

        await await Task.WhenAny(_running!, _waiting.Task);
        IsConsumed = _running!.IsCompletedSuccessfully;
    }

    /// <summary>Ends a body that still waits for its saga.</summary>
    public async Task AbandonAsync(Exception cause)
    {
        _resumed?.TrySetException(new UndoneTogetherException(cause));
        if (_running is not null)
            await _running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    void Start()
    {
        outbox.Member = this;
        _running = body();
    }

    /// <summary>Called by the body: ends its turn until the saga is there. Null when there is none and its place is locked.</summary>
    public async Task<TSaga?> LoadAsync<TSaga>(Guid correlationId)
        where TSaga : class, ISaga
    {
        var request = new SagaRequest<TSaga>(db, correlationId);
        Request = request;
        // Goes on inside the leader's own call: a thread of the pool for each turn would cost more than most turns do.
        _resumed = new TaskCompletionSource();
        var resumed = _resumed.Task;
        _waiting!.SetResult();
        await resumed;
        return request.Saga;
    }

    static TaskCompletionSource Signal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    static TaskCompletionSource<T> Signal<T>() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
