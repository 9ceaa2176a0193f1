using Artifacts;
using Contracts;
using Contracts.BatchInference;
using Sagas.BatchInference;
using Sagas.WorkLedger;

namespace Consumers.BatchInference;

/// <summary>
/// Gives the winners their names and writes the manifest last: until it is there, there is no result. Repeating it, or two at
/// once, is harmless.
/// </summary>
public sealed class ResultPublisher(ArtifactStore artifacts)
{
    const int CopiesAtOnce = 32;

    /// <exception cref="FailureException">A winner is gone, or the folder holds something else under a name of ours.</exception>
    public async Task<(string Uri, string Sha256)> PublishAsync(
        WorkJob job, BatchJobSpec spec, IReadOnlyList<WorkUnit> units, CancellationToken cancellationToken)
    {
        var own = artifacts.For(job.Tenant);
        var folder = spec.ResultFolder(job.Id);
        var results = units.Select(u => (u.Unit, Result: WireJson.Read<ShardResult>(u.Result!)));
        // Of a copy there is mostly the way to wait for.
        var atOnce = new ParallelOptions { MaxDegreeOfParallelism = RemoteUri.Is(folder) ? CopiesAtOnce : Environment.ProcessorCount, CancellationToken = cancellationToken };
        await Parallel.ForEachAsync(results, atOnce, async (shard, token) =>
        {
            if (shard.Result.Part is { } part)
                await MoveAsync(own, part, $"{folder}/{Manifest.PartName(shard.Unit, spec.Output.Format)}", token);
            if (shard.Result.Quarantine is { } quarantine)
                await MoveAsync(own, quarantine, $"{folder}/{Manifest.QuarantineName(shard.Unit)}", token);
        });

        var manifest = Manifest.Of(job, spec, units, WireJson.Read<List<BatchInputFile>>(job.Inputs)).ToJson();
        var uri = $"{folder}/{Manifest.FileName}";
        var digest = FileDigest.Of(manifest);
        if (!await own.ExistsAsync(uri, cancellationToken))
            await own.WriteAsync(uri, manifest, cancellationToken);
        else if (!await own.HoldsAsync(uri, digest, ArtifactAccess.Output, cancellationToken))
            throw new FailureException("manifest_differs", $"{uri} is there already and says something else. Choose another output folder.");
        return (uri, digest.Sha256);
    }

    static async Task MoveAsync(ArtifactStore own, PartFile file, string target, CancellationToken cancellationToken)
    {
        if (!await own.MoveAsync(file.Uri, target, new FileDigest(file.Bytes, file.Sha256), cancellationToken))
            throw new FailureException("part_missing",
                $"{target} cannot be published: neither it nor {file.Uri} holds the {file.Bytes} bytes that were committed. Submit the job again.");
    }
}
