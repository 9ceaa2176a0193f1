using MassTransit;

namespace Messaging.Postgres.Outbox;

/// <summary>
/// Open while the bus runs. On the in-memory bus a message sent before the endpoints are bound, or after they have gone, reaches nobody;
/// such messages stay in the outbox instead.
/// </summary>
sealed class BusGate : IBusObserver
{
    readonly Lock _lock = new();
    bool _stopping;
    TaskCompletionSource _opened = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public bool IsOpen
    {
        get
        {
            lock (_lock)
                return _opened.Task.IsCompleted;
        }
    }

    /// <summary>The bus stops for good: what is not sent yet is another node's.</summary>
    public bool IsStopping
    {
        get
        {
            lock (_lock)
                return _stopping;
        }
    }

    public Task WaitAsync(CancellationToken cancellationToken)
    {
        lock (_lock)
            return _opened.Task.WaitAsync(cancellationToken);
    }

    public void Open()
    {
        lock (_lock)
            _opened.TrySetResult();
    }

    public void Close()
    {
        lock (_lock)
        {
            if (_opened.Task.IsCompleted)
                _opened = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }
    }

    public void PostCreate(IBus bus)
    {
    }

    public void CreateFaulted(Exception exception)
    {
    }

    public Task PreStart(IBus bus) => Task.CompletedTask;

    public async Task PostStart(IBus bus, Task<BusReady> busReady)
    {
        await busReady;
        Open();
    }

    public Task StartFaulted(IBus bus, Exception exception) => Task.CompletedTask;

    public Task PreStop(IBus bus)
    {
        lock (_lock)
            _stopping = true;
        Close();
        return Task.CompletedTask;
    }

    public Task PostStop(IBus bus) => Task.CompletedTask;

    public Task StopFaulted(IBus bus, Exception exception) => Task.CompletedTask;
}
