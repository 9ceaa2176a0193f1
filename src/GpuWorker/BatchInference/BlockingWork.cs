namespace GpuWorker.BatchInference;

/// <summary>DuckDB works on the thread that calls it, for seconds: never one of the pool's.</summary>
static class BlockingWork
{
    public static Task<T> Run<T>(Func<T> work) =>
        Task.Factory.StartNew(work, CancellationToken.None, TaskCreationOptions.LongRunning | TaskCreationOptions.DenyChildAttach, TaskScheduler.Default);
}
