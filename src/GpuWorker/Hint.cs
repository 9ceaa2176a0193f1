using System.Threading.Channels;

namespace GpuWorker;

/// <summary>Something may have happened. However often it is given before somebody waits, it is one.</summary>
sealed class Hint
{
    readonly Channel<bool> given = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    internal void Give() => given.Writer.TryWrite(true);

    /// <summary>Until it is given, or so long.</summary>
    /// <param name="together">What is given within so long after the first is the same.</param>
    internal async Task WaitAsync(TimeSpan most, TimeSpan together, TimeProvider time, CancellationToken stoppingToken)
    {
        using var enough = new CancellationTokenSource(most, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(enough.Token, stoppingToken);
        try
        {
            await given.Reader.WaitToReadAsync(either.Token);
            await Task.Delay(together, time, either.Token);
        }
        catch (OperationCanceledException) when (!stoppingToken.IsCancellationRequested)
        {
            // It was not.
        }
        given.Reader.TryRead(out _);
    }
}
