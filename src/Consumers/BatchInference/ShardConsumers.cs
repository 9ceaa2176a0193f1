using Consumers.WorkLedger;
using Contracts;
using Contracts.BatchInference;
using MassTransit;
using Sagas.BatchInference;

namespace Consumers.BatchInference;

public sealed class CommitShardsConsumer(UnitCommit ledger) : IConsumer<Batch<ShardScored>>
{
    public Task Consume(ConsumeContext<Batch<ShardScored>> context) =>
        ledger.CommitAsync([.. context.Message.Select(m => Result(m.Message))], context, context.CancellationToken);

    static UnitResult Result(ShardScored shard) => new(
        shard.JobId, shard.Epoch, shard.Shard, shard.Execution, shard.Worker, shard.Part?.Rows ?? 0, shard.Quarantine?.Rows ?? 0,
        WireJson.Write(new ShardResult(shard.Part, shard.Quarantine)), shard.Elapsed);
}

public sealed class CommitConversionsConsumer(UnitCommit ledger) : IConsumer<Batch<FileConverted>>
{
    public Task Consume(ConsumeContext<Batch<FileConverted>> context) =>
        ledger.CommitAsync([.. context.Message.Select(m => Result(m.Message))], context, context.CancellationToken);

    static UnitResult Result(FileConverted file) => new(
        file.JobId, file.Epoch, file.Unit, file.Execution, file.Worker, file.Rows, 0,
        WireJson.Write(new ConversionResult(file.Uri, file.Rows, file.Bytes, file.Sha256)), file.Elapsed);
}

public sealed class ShardFailedConsumer(UnitFailures ledger) : IConsumer<ShardFailed>
{
    public Task Consume(ConsumeContext<ShardFailed> context)
    {
        var shard = context.Message;
        return ledger.RecordAsync(
            new UnitFailure(shard.JobId, shard.Epoch, shard.Shard, shard.Attempt, shard.Failure, shard.Retryable, shard.RowsPerSecond),
            context, context.CancellationToken);
    }
}
