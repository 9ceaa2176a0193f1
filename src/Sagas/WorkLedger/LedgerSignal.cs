namespace Sagas.WorkLedger;

/// <summary>
/// Wakes this node's dispatcher after something committed. Losing a wake-up costs at most one poll:
/// other nodes are not woken at all.
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
