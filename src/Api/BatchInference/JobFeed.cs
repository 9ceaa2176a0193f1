using System.Threading.Channels;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Sagas.Persistence;

namespace Api.BatchInference;

/// <summary>Reads one job's progress again and again and hands it to everybody who looks. Members but Run are called under the feeds' lock.</summary>
sealed partial class JobFeed(
    string tenant, Guid id, IServiceScopeFactory scopes, TimeProvider clock, TimeSpan poll, ILogger logger) : IDisposable
{
    /// <summary>Over which the speed is measured.</summary>
    static readonly TimeSpan Window = TimeSpan.FromSeconds(5);

    readonly List<Channel<JobProgress>> _viewers = [];
    readonly Queue<(long At, long Rows)> _samples = [];
    readonly CancellationTokenSource _left = new();
    readonly Lock _gate = new();
    JobProgress? _last;
    bool _isComplete;

    public Guid Id => id;

    public Channel<JobProgress> Add()
    {
        // Only the newest matters to a viewer that is slow.
        var viewer = Channel.CreateBounded<JobProgress>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropOldest });
        lock (_gate)
        {
            _viewers.Add(viewer);
            if (_last is not null)
                viewer.Writer.TryWrite(_last);
            if (_isComplete)
                viewer.Writer.Complete();
        }

        return viewer;
    }

    /// <returns>Viewers left.</returns>
    public int Remove(Channel<JobProgress> viewer)
    {
        lock (_gate)
        {
            _viewers.Remove(viewer);
            return _viewers.Count;
        }
    }

    public void Stop() => _left.Cancel();

    public void Dispose() => _left.Dispose();

    public void Complete()
    {
        lock (_gate)
        {
            _isComplete = true;
            foreach (var viewer in _viewers)
                viewer.Writer.TryComplete();
        }
    }

    public async Task RunAsync(CancellationToken stoppingToken)
    {
        using var end = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken, _left.Token);
        using var timer = new PeriodicTimer(poll, clock);
        try
        {
            while (await ReadAsync(end.Token))
                await timer.WaitForNextTickAsync(end.Token);
        }
        catch (OperationCanceledException) when (end.IsCancellationRequested)
        {
            // Nobody looks any more, or the host goes down.
        }
    }

    /// <returns>Whether there is more to come.</returns>
    async Task<bool> ReadAsync(CancellationToken cancellationToken)
    {
        try
        {
            await using var scope = scopes.CreateAsyncScope();
            scope.ServiceProvider.GetRequiredService<DataScope>().See(tenant);
            var db = scope.ServiceProvider.GetRequiredService<PlatformDbContext>();
            if (await db.BatchJobAsync(id, cancellationToken) is not { } row)
                return false;
            var progress = JobProgress.Of(row, clock.GetUtcNow()).NotBehind(_last?.RowsDone ?? 0);
            Hand(row.IsFinal ? progress : progress.AtSpeed(Speed(progress.RowsDone)));
            return !row.IsFinal;
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            // Viewers hear the last known figures until the database answers again.
            LogUnread(e, id);
            if (_last is not null)
                Hand(_last);
            return true;
        }
    }

    double? Speed(long rows)
    {
        var now = clock.GetTimestamp();
        _samples.Enqueue((now, rows));
        while (_samples.Count > 2 && clock.GetElapsedTime(_samples.Peek().At, now) > Window)
            _samples.Dequeue();
        var first = _samples.Peek();
        var seconds = clock.GetElapsedTime(first.At, now).TotalSeconds;
        return seconds > 0 && rows > 0 ? Math.Round((rows - first.Rows) / seconds, 1) : null;
    }

    void Hand(JobProgress progress)
    {
        lock (_gate)
        {
            _last = progress;
            foreach (var viewer in _viewers)
                viewer.Writer.TryWrite(progress);
        }
    }
}
