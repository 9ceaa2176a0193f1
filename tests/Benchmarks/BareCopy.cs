using System.Runtime.InteropServices;
using Contracts;
using Interop.DuckDb;
using Interop.OnnxRuntime;

namespace Benchmarks;

/// <summary>
/// What a worker is measured against: <c>COPY (SELECT id, score(…) FROM read_parquet(…)) TO</c> in one process, with any model of one
/// [N, F] input of floats. No checks of the rows, no hash of the result.
/// </summary>
sealed unsafe class BareCopy(OnnxSession session, ModelSignature signature, IReadOnlyList<string> features) : IDisposable
{
    // A vector of DuckDB's.
    const int MostRows = 2048;

    readonly ThreadLocal<Caller> callers = new(() => new Caller(session, signature, features.Count), trackAllValues: true);

    /// <returns>Rows written.</returns>
    internal long Run(string input, string target, int threads)
    {
        using var database = DuckDbDatabase.Open(new DuckDbSettings { Threads = threads, MemoryLimit = "1GB", PreserveOrder = false });
        using var connection = database.Connect();
        var result = DuckDbType.Struct([.. signature.Columns.Select((column, i) => new DuckDbField($"c{i}", DuckDbType.Parse(column.Type)!))]);
        connection.Register(new ScalarFunction("score", [.. features.Select(_ => DuckDbType.Of(DuckDbTypeId.Float))], result, (rows, output) => callers.Value!.Score(rows, output)));
        var columns = string.Join(", ", features.Select(DuckDbSql.Identifier));
        var outputs = string.Join(", ", signature.Columns.Select((column, i) => $"s.c{i} AS {DuckDbSql.Identifier(column.Name)}"));
        return connection.Execute(
            $"COPY (SELECT id, {outputs} FROM (SELECT id, score({columns}) AS s FROM read_parquet({DuckDbSql.Literal(input)}))) TO {DuckDbSql.Literal(target)} (FORMAT parquet, COMPRESSION snappy)");
    }

    public void Dispose()
    {
        foreach (var caller in callers.Values)
            caller.Dispose();
        callers.Dispose();
    }

    sealed class Caller : IDisposable
    {
        readonly OnnxCall call;
        readonly OnnxSession session;
        readonly ModelSignature signature;
        readonly int width;
        readonly float* rows;
        readonly byte*[] outputs;
        readonly int[] widths;
        int prepared;

        internal Caller(OnnxSession session, ModelSignature signature, int width)
        {
            (this.session, this.signature, this.width) = (session, signature, width);
            call = new OnnxCall(session, [session.Inputs[0].Name], [.. session.Outputs.Select(port => port.Name)]);
            rows = (float*)NativeMemory.AlignedAlloc((nuint)(MostRows * width * sizeof(float)), 64);
            widths = [.. session.Outputs.Select((_, i) => signature.Columns.Count(column => column.Output == i))];
            outputs = new byte*[widths.Length];
            for (var i = 0; i < outputs.Length; i++)
                outputs[i] = (byte*)NativeMemory.AlignedAlloc((nuint)(MostRows * widths[i] * sizeof(long)), 64);
        }

        internal void Score(DuckDbColumns input, DuckDbColumn output)
        {
            for (var c = 0; c < width; c++)
            {
                var values = input[c].Values<float>();
                for (var row = 0; row < values.Length; row++)
                    rows[row * width + c] = values[row];
            }
            Prepare(input.Rows);
            call.Run();
            for (var i = 0; i < signature.Columns.Count; i++)
            {
                var column = signature.Columns[i];
                if (column.Type == "BIGINT")
                    Copy((long*)outputs[column.Output], widths[column.Output], column.Index, output.Child(i).Values<long>());
                else
                    Copy((float*)outputs[column.Output], widths[column.Output], column.Index, output.Child(i).Values<float>());
            }
        }

        static void Copy<T>(T* from, int step, int index, Span<T> to) where T : unmanaged
        {
            for (var row = 0; row < to.Length; row++)
                to[row] = from[row * step + index];
        }

        void Prepare(int count)
        {
            if (count == prepared)
                return;
            call.SetInput(0, rows, (long)count * width * sizeof(float), OnnxElementType.Float, [count, width]);
            for (var i = 0; i < outputs.Length; i++)
            {
                var type = session.Outputs[i].Type;
                long[] shape = type.Shape!.Count == 1 ? [count] : [count, widths[i]];
                call.SetOutput(i, outputs[i], (long)count * widths[i] * type.Element.BitsPerElement() / 8, type.Element, shape);
            }
            prepared = count;
        }

        public void Dispose()
        {
            call.Dispose();
            NativeMemory.AlignedFree(rows);
            foreach (var output in outputs)
                NativeMemory.AlignedFree(output);
        }
    }
}
