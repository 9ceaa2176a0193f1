using System.Numerics;
using System.Runtime.InteropServices;
using Interop.DuckDb;
using Interop.OnnxRuntime;
using ServiceDefaults;

namespace Benchmarks;

/// <summary>
/// What the platform is measured against: one process, one <c>COPY (SELECT id, score(…) FROM …) TO</c>, the same model, the
/// same checks of each row, the same columns. No plan, no ledger, no hashes, no restart.
/// </summary>
sealed unsafe class RawScoring : IDisposable
{
    // A vector of DuckDB's.
    const int MostRows = 2048;
    const int TileRows = 64;

    readonly OnnxEnvironment environment;
    readonly OnnxSession session;
    readonly IReadOnlyList<string> features;
    readonly ThreadLocal<Scorer> scorers;
    long badRows;

    internal RawScoring(string model, IReadOnlyList<string> features)
    {
        this.features = features;
        OnnxLibrary.Load(NativeParts.OnnxRuntime());
        DuckDbLibrary.Load(NativeParts.DuckDb());
        environment = new OnnxEnvironment();
        session = OnnxSession.FromFile(environment, model, new OnnxSessionOptions { IntraOpThreads = 1, InterOpThreads = 1 });
        scorers = new ThreadLocal<Scorer>(() => new Scorer(session, features.Count), trackAllValues: true);
    }

    /// <returns>Rows scored and rows refused.</returns>
    internal (long Scored, long Bad) Run(string folder, string target)
    {
        badRows = 0;
        using var database = DuckDbDatabase.Open(
            new DuckDbSettings { Threads = Environment.ProcessorCount, MemoryLimit = "1GB", PreserveOrder = false });
        using var connection = database.Connect();
        var result = DuckDbType.Struct(
            new DuckDbField("label", DuckDbType.Of(DuckDbTypeId.BigInt)), new DuckDbField("score", DuckDbType.Of(DuckDbTypeId.Float)));
        connection.Register(new ScalarFunction("score", [.. features.Select(_ => DuckDbType.Of(DuckDbTypeId.Float))], result, Score));
        var columns = string.Join(", ", features.Select(DuckDbSql.Identifier));
        var written = connection.Execute(
            $"COPY (SELECT id, s.label, s.score FROM (SELECT id, score({columns}) AS s FROM read_parquet({DuckDbSql.Literal(folder + "/*.parquet")})) "
            + $"WHERE s.label IS NOT NULL) TO {DuckDbSql.Literal(target)} (FORMAT parquet, COMPRESSION snappy)");
        return (written, badRows);
    }

    public void Dispose()
    {
        foreach (var scorer in scorers.Values)
            scorer.Dispose();
        scorers.Dispose();
        session.Dispose();
        environment.Dispose();
    }

    void Score(DuckDbColumns input, DuckDbColumn output)
    {
        var scorer = scorers.Value!;
        var bad = scorer.Load(input);
        scorer.Run(input.Rows);
        var (labels, scores) = (output.Child(0), output.Child(1));
        scorer.Labels(input.Rows).CopyTo(labels.Values<long>());
        scorer.Scores(input.Rows).CopyTo(scores.Values<float>());
        if (bad is null)
            return;
        foreach (var row in bad)
        {
            labels.SetNull(row);
            scores.SetNull(row);
        }
        Interlocked.Add(ref badRows, bad.Count);
    }

    sealed class Scorer : IDisposable
    {
        readonly OnnxCall call;
        readonly int width;
        readonly float* rows;
        readonly long* labels;
        readonly float* scores;
        int prepared;

        internal Scorer(OnnxSession session, int width)
        {
            this.width = width;
            call = new OnnxCall(session, [session.Inputs[0].Name], ["label", "score"]);
            rows = (float*)NativeMemory.AlignedAlloc((nuint)(MostRows * width * sizeof(float)), 64);
            labels = (long*)NativeMemory.AlignedAlloc(MostRows * sizeof(long), 64);
            scores = (float*)NativeMemory.AlignedAlloc(MostRows * sizeof(float), 64);
        }

        internal ReadOnlySpan<long> Labels(int count) => new(labels, count);

        internal ReadOnlySpan<float> Scores(int count) => new(scores, count);

        /// <summary>Turns columns into rows, tile by tile, and finds the rows with a NULL or a NaN.</summary>
        internal HashSet<int>? Load(DuckDbColumns input)
        {
            HashSet<int>? bad = null;
            for (var c = 0; c < width; c++)
            {
                var column = input[c];
                if (column.MayHaveNulls || HasNaN(column.Values<float>()))
                    bad = Find(column, bad);
            }
            var columns = stackalloc float*[width];
            for (var c = 0; c < width; c++)
            {
                fixed (float* values = input[c].Values<float>())
                    columns[c] = values;
            }
            for (var start = 0; start < input.Rows; start += TileRows)
            {
                var end = Math.Min(start + TileRows, input.Rows);
                for (var c = 0; c < width; c++)
                {
                    var source = columns[c];
                    var target = rows + c;
                    for (var row = start; row < end; row++)
                        target[row * width] = source[row];
                }
            }
            return bad;
        }

        internal void Run(int count)
        {
            if (count != prepared)
            {
                call.SetInput(0, rows, (long)count * width * sizeof(float), OnnxElementType.Float, [count, width]);
                call.SetOutput(0, labels, count * sizeof(long), OnnxElementType.Int64, [count]);
                call.SetOutput(1, scores, count * sizeof(float), OnnxElementType.Float, [count, 1]);
                prepared = count;
            }
            call.Run();
        }

        static bool HasNaN(ReadOnlySpan<float> values)
        {
            var vectors = MemoryMarshal.Cast<float, Vector<float>>(values);
            var equal = new Vector<int>(-1);
            foreach (var vector in vectors)
                equal &= Vector.Equals(vector, vector);
            var found = equal != new Vector<int>(-1);
            foreach (var value in values[(vectors.Length * Vector<float>.Count)..])
                found |= float.IsNaN(value);
            return found;
        }

        static HashSet<int>? Find(DuckDbColumn column, HashSet<int>? bad)
        {
            var values = column.Values<float>();
            for (var row = 0; row < values.Length; row++)
            {
                if (column.IsNull(row) || float.IsNaN(values[row]))
                    (bad ??= []).Add(row);
            }
            return bad;
        }

        public void Dispose()
        {
            call.Dispose();
            NativeMemory.AlignedFree(rows);
            NativeMemory.AlignedFree(labels);
            NativeMemory.AlignedFree(scores);
        }
    }
}
