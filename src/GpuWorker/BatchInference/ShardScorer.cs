using System.Diagnostics;
using System.Globalization;
using Artifacts;
using Contracts;
using Contracts.BatchInference;
using GpuWorker.Inference;
using Interop.DuckDb;
using Interop.OnnxRuntime;

namespace GpuWorker.BatchInference;

/// <summary>
/// Scores one shard: DuckDB reads, calls the model as a function of its own, and writes; rows never pass through anything else.
/// </summary>
public sealed class ShardScorer(
    ArtifactStore store, ModelCache models, OnnxEnvironment environment, WorkerIdentity worker, ScoringDatabases databases, TimeProvider time)
{
    public async Task<ShardScored> ScoreAsync(ScoreShard shard, RunningUnit unit)
    {
        using var input = await UnitInput.OpenAsync(store.For(shard.Tenant), shard.Range, "range.uri", time, unit.Token);
        var path = input.Path;
        using var part = new WorkFile(store.For(shard.Tenant), shard.WorkUri, Name("part", shard, unit, shard.OutputFormat));
        using var quarantine = new WorkFile(store.For(shard.Tenant), shard.WorkUri, Name("quarantine", shard, unit, "parquet"));
        var ((scored, quarantined), provider) = shard.QuarantineAll is null
            ? await ScoreAsync(shard, unit, path, part, quarantine)
            : (await BlockingWork.Run(() => databases.Use(connection => QuarantineAll(connection, shard, unit, path, quarantine))), null);
        input.RequireUnchanged();
        if (scored + quarantined != shard.Range.Rows)
            throw input.Changed($"has {scored + quarantined} rows where {shard.Range.Rows} were planned");

        var result = new ShardScored(
            shard.JobId, shard.Epoch, shard.Shard, shard.Attempt, unit.Execution, worker.Name,
            scored > 0 ? await part.SealAsync(scored, unit.Token) : null,
            quarantined > 0 ? await quarantine.SealAsync(quarantined, unit.Token) : null,
            unit.Elapsed);
        BatchMetrics.Finished(scored, quarantined, result.Elapsed, provider);
        return result;
    }

    async Task<((long Scored, long Quarantined), string? Provider)> ScoreAsync(ScoreShard shard, RunningUnit unit, string path, WorkFile part, WorkFile quarantine)
    {
        var asked = Stopwatch.GetTimestamp();
        using var model = RemoteUri.Is(shard.Model.Uri)
            ? await FetchPatience.WaitAsync(token => models.LeaseAsync(shard.Model, token), $"The model {shard.Model.Name}", unit.Elapsed, time, unit.Token)
            : await models.LeaseAsync(shard.Model, unit.Token);
        var provider = model.Session.Onnx.Provider;
        if (!model.WasOpen)
            Durations.StartedCold(Stopwatch.GetElapsedTime(asked), provider, "batch");
        return (await BlockingWork.Run(() => databases.Use(connection => Score(connection, shard, unit, path, model.Session, part, quarantine))), provider);
    }

    (long Scored, long Quarantined) Score(
        DuckDbConnection connection, ScoreShard shard, RunningUnit unit, string path, ModelSession model, WorkFile part, WorkFile quarantine)
    {
        var (types, rows) = Describe(connection, path, unit.Token);
        var plan = ScoringPlan.Create(shard.Signature, shard.Mapping, types);
        var queries = new ShardQueries(shard, path, types, rows);
        using var functions = new ScoringFunctions(plan, () => new RowScorer(environment, model, shard.Signature, plan.Inputs), connection, unit);
        using var termination = unit.Token.UnsafeRegister(static self => ((ScoringFunctions)self!).Terminate(), functions);
        try
        {
            var scored = connection.Execute(queries.WriteScores(plan, functions.Score, part.TemporaryPath), unit.Token);
            if (scored == shard.Range.Rows)
                return (scored, 0);
            // Bad rows are rare: only a shard that has some pays for a second reading, in which no model is called.
            var quarantined = connection.Execute(queries.WriteQuarantine(functions.Fault, quarantine.TemporaryPath), unit.Token);
            return (scored, quarantined);
        }
        catch (DuckDbException e) when (e.InnerException is FailureException)
        {
            throw e.InnerException;
        }
        catch (DuckDbException e) when (!CanRead(connection, queries.ReadAll(plan), unit.Token))
        {
            throw new FailureException(new Failure("input_malformed", $"{shard.Range.Source} cannot be read from row {shard.Range.FirstRow + 1} on: {e.Message.Split('\n')[0].Replace(path, shard.Range.Source)}"), inner: e);
        }
    }

    static (long Scored, long Quarantined) QuarantineAll(DuckDbConnection connection, ScoreShard shard, RunningUnit unit, string path, WorkFile quarantine)
    {
        var (types, rows) = Describe(connection, path, unit.Token);
        var reason = DuckDbSql.Literal($"{shard.QuarantineAll!.Code}: {shard.QuarantineAll.Message}");
        return (0, connection.Execute(new ShardQueries(shard, path, types, rows).WriteQuarantine(reason, quarantine.TemporaryPath), unit.Token));
    }

    static (Dictionary<string, string> Types, long Rows) Describe(DuckDbConnection connection, string path, CancellationToken cancellationToken)
    {
        var file = DuckDbSql.PathLiteral(path);
        using var columns = connection.Query($"DESCRIBE SELECT * FROM read_parquet({file}, hive_partitioning=false)", cancellationToken);
        using var facts = connection.Query($"SELECT num_rows FROM parquet_file_metadata({file})", cancellationToken);
        return (columns.Rows().ToDictionary(r => (string)r[0]!, r => (string)r[1]!), (long)facts.Rows()[0][0]!);
    }

    static bool CanRead(DuckDbConnection connection, string query, CancellationToken cancellationToken)
    {
        try
        {
            connection.Execute(query, cancellationToken);
            return true;
        }
        catch (DuckDbException)
        {
            return false;
        }
    }

    static string Name(string kind, ScoreShard shard, RunningUnit unit, string format) =>
        string.Create(CultureInfo.InvariantCulture, $"{kind}-{shard.Shard:00000}.{unit.Execution}.{format}");
}
