using System.Globalization;
using Artifacts;
using Artifacts.Tabular;
using Contracts;
using Contracts.BatchInference;
using Interop.DuckDb;
using Microsoft.Extensions.Options;

namespace GpuWorker.BatchInference;

/// <summary>
/// Turns a text file into Parquet, record by record and in order, so that row n of the result is record n + 1 of the source. Values
/// stay text: what a number is, scoring decides row by row.
/// </summary>
public sealed class FileConverter(ArtifactStore store, WorkerIdentity worker, IOptions<GpuWorkerOptions> options, TimeProvider time)
{
    const string Field = "input.uri";

    public async Task<FileConverted> ConvertAsync(ConvertFile request, RunningUnit unit)
    {
        using var input = await UnitInput.OpenAsync(store.For(request.Tenant), request.File, Field, time, unit.Token);
        var source = new PinnedFile(request.File.Uri, input.Path, request.File.Source, request.File.Length, request.File.ModifiedTicks);
        var name = string.Create(CultureInfo.InvariantCulture, $"converted-{request.Unit:00000}.{unit.Execution}.parquet");
        using var target = new WorkFile(store.For(request.Tenant), request.WorkUri, name);
        var rows = await BlockingWork.Run(() => Convert(request, source, target, unit));
        input.RequireUnchanged();
        var file = await target.SealAsync(rows, unit.Token);
        return new FileConverted(
            request.JobId, request.Epoch, request.Unit, request.Attempt, unit.Execution, worker.Name, file.Uri, file.Rows, file.Bytes, file.Sha256, unit.Elapsed);
    }

    long Convert(ConvertFile request, PinnedFile source, WorkFile target, RunningUnit unit)
    {
        using var database = DuckDbDatabase.Open(new DuckDbSettings
        {
            Threads = options.Value.EffectiveThreads,
            MemoryLimit = options.Value.MemoryLimitPerSlot,
        });
        using var connection = database.Connect();
        var isCsv = request.Format == TabularFormat.Csv;
        var select = isCsv ? SelectCsv(request, source) : SelectNdJson(request, source);
        try
        {
            var rows = connection.Execute($"COPY ({select}) TO {DuckDbSql.Literal(target.TemporaryPath)} (FORMAT parquet)", unit.Token);
            var records = isCsv ? CsvFile.CountRecords(source.Path, unit.Token) : NdJsonFile.CountRecords(source.Path, unit.Token);
            if (rows != records)
                throw Malformed(source, $"{rows} of its {records} records could be told apart; give all lines the same ending");
            unit.AddRows((int)Math.Min(rows, int.MaxValue));
            return rows;
        }
        catch (DuckDbException e)
        {
            throw isCsv ? CsvFile.Translate(source, Field, e) : Malformed(source, e.Message.Split('\n')[0].Replace(source.Path, source.Source));
        }
    }

    static string SelectCsv(ConvertFile request, PinnedFile source)
    {
        var dialect = CsvDialect.Read(source, Field);
        var missing = request.Columns.Except(dialect.Names).ToArray();
        if (missing.Length > 0)
        {
            throw new FailureException(
                "columns_differ", $"{Field}: {source.Source} has no column {string.Join(", ", missing)}. All files of an input need the same columns.",
                [.. missing.Select(m => new FieldFailure($"columns.{m}", "columns_differ", $"It is not in {source.Source}."))]);
        }
        // A file that gives no column at all still has rows.
        var columns = request.Columns.Count > 0 ? request.Columns : [dialect.Names[0]];
        return $"SELECT {string.Join(", ", columns.Select(DuckDbSql.Identifier))} FROM {dialect.ReadSql(source.Path)}";
    }

    static string SelectNdJson(ConvertFile request, PinnedFile source)
    {
        var columns = request.Columns.Select((c, i) => $"v[{i + 1}] AS {DuckDbSql.Identifier(c)}")
            .Append($"CASE WHEN json IS NULL THEN 'the line is not JSON' WHEN json_type(json) <> 'OBJECT' THEN 'the line is not a JSON object' END AS {TabularInput.MalformedColumn}");
        // All fields in one call: the line is parsed once.
        return $"SELECT {string.Join(", ", columns)} FROM (SELECT json, {NdJsonFile.FieldsSql(request.Columns)} AS v FROM {NdJsonFile.ReadSql(source.Path)})";
    }

    static FailureException Malformed(PinnedFile source, string reason) =>
        new("input_malformed", $"{Field}: {source.Source}: {reason}.", new FieldFailure(Field, "input_malformed", $"{source.Source}: {reason}."));
}
