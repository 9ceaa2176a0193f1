namespace Sagas.WorkLedger;

/// <summary>
/// Wakes this node's dispatcher after something committed. Other nodes need not hear of it: any dispatcher dispatches for all.
/// Losing a wake-up costs at most one poll.
/// </summary>
public sealed class LedgerSignal : IDisposable
{
    readonly SemaphoreSlim _pending = new(0, 1);

    public void Set()
    {
        try
        {
            _pending.Release();
        }
        catch (SemaphoreFullException)
        {
            // A wake-up is already waiting to be taken; one look at the ledger serves both.
        }
    }

    public Task WaitAsync(TimeSpan poll, CancellationToken cancellationToken) => _pending.WaitAsync(poll, cancellationToken);

    public void Dispose() => _pending.Dispose();
}
