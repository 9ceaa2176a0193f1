using System.Collections.Concurrent;
using System.Threading.Channels;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Messaging.Postgres.Outbox;

/// <summary>Deletes the rows of sent messages, many at a time. One that is not deleted in time is sent again, and its twin dropped.</summary>
sealed partial class SentMessages(NpgsqlDataSource dataSource, TimeProvider clock, ILogger<SentMessages> logger)
    : IHostedLifecycleService, IAsyncDisposable
{
    const int MostAtOnce = 2000;
    static readonly TimeSpan Gathering = TimeSpan.FromMilliseconds(20);

    // Bounded: while the database is away, senders wait here instead of filling the memory.
    readonly Channel<Guid> _ids = Channel.CreateBounded<Guid>(new BoundedChannelOptions(50_000) { SingleReader = true });
    readonly ConcurrentQueue<Guid> _leftBehind = new();
    readonly CancellationTokenSource _stopping = new();
    Task _running = Task.CompletedTask;

    public ValueTask AddAsync(Guid id) => _ids.Writer.TryWrite(id) ? default : WaitAndAddAsync(id);

    /// <summary>Unsent messages of a stopping host: another may send them at once.</summary>
    public void LeaveBehind(IEnumerable<Guid> ids)
    {
        foreach (var id in ids)
            _leftBehind.Enqueue(id);
    }

    async ValueTask WaitAndAddAsync(Guid id)
    {
        try
        {
            await _ids.Writer.WriteAsync(id, _stopping.Token);
        }
        catch (Exception exception) when (exception is ChannelClosedException or OperationCanceledException)
        {
            // The host has stopped. The row stays, and is sent again after the next start.
        }
    }

    public Task StartAsync(CancellationToken cancellationToken)
    {
        _running = RunAsync();
        return Task.CompletedTask;
    }

    async Task RunAsync()
    {
        var ids = new List<Guid>();
        while (await _ids.Reader.WaitToReadAsync(CancellationToken.None))
        {
            if (!_stopping.IsCancellationRequested)
                await Task.Delay(Gathering, clock, CancellationToken.None);
            while (ids.Count < MostAtOnce && _ids.Reader.TryRead(out var id))
                ids.Add(id);
            await DeleteAsync([.. ids]);
            ids.Clear();
        }
    }

    async Task DeleteAsync(Guid[] ids)
    {
        for (var tries = 0; ; tries++)
        {
            try
            {
                await OutboxTable.DeleteAsync(dataSource, ids, CancellationToken.None);
                return;
            }
            catch (Exception exception) when (!_stopping.IsCancellationRequested)
            {
                LogDeleteFailed(ids.Length, exception);
                await Pause.AfterOutageAsync(clock, tries, _stopping.Token);
            }
            catch (Exception exception)
            {
                LogDeleteFailed(ids.Length, exception);
                return;
            }
        }
    }

    /// <summary>Consumers that end while the host stops still report what they sent, so this ends after all of them.</summary>
    public async Task StoppedAsync(CancellationToken cancellationToken)
    {
        await _stopping.CancelAsync();
        _ids.Writer.TryComplete();
        await _running.WaitAsync(cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (!_leftBehind.IsEmpty)
            await HandOverAsync(cancellationToken);
    }

    async Task HandOverAsync(CancellationToken cancellationToken)
    {
        try
        {
            await OutboxClaims.GiveBackAsync(dataSource, [.. _leftBehind], cancellationToken);
            await OutboxNotices.TellAsync(dataSource, cancellationToken);
        }
        catch (Exception exception)
        {
            LogHandOverFailed(_leftBehind.Count, exception);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (!_stopping.IsCancellationRequested)
            await StoppedAsync(CancellationToken.None);
        _stopping.Dispose();
    }

    public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    [LoggerMessage(LogLevel.Warning, "{Count} unsent messages could not be handed over; they go when their leases have lapsed")]
    partial void LogHandOverFailed(int count, Exception exception);

    [LoggerMessage(LogLevel.Warning, "{Count} sent messages could not be deleted from the outbox")]
    partial void LogDeleteFailed(int count, Exception exception);
}
