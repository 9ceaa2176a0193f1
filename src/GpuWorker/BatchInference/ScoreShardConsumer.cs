using Contracts.BatchInference;
using MassTransit;

namespace GpuWorker.BatchInference;

/// <summary>Scores, then says so; the message is acknowledged only after the broker has taken the result.</summary>
public sealed class ScoreShardConsumer(ShardScorer scorer, UnitRunner runner) : IConsumer<ScoreShard>
{
    public async Task Consume(ConsumeContext<ScoreShard> context)
    {
        var shard = context.Message;
        var result = await runner.RunAsync(
            shard.JobId, shard.Epoch, shard.Shard, shard.Attempt, context.ReceiveContext.Redelivered, async unit => await scorer.ScoreAsync(shard, unit), context.CancellationToken);
        if (result is not null)
            await context.Publish(result, context.CancellationToken);
    }
}
