using System.Text.Json;
using Interop.DuckDb;
using Interop.OnnxRuntime;
using ServiceDefaults;
using Train.Tables;

namespace Train.Tests;

/// <summary>The trainer's own arithmetic and ONNX Runtime's agree on every sample row, in batches and one by one.</summary>
public sealed class PredictionTests
{
    const int OneByOne = 300;

    [Theory]
    [InlineData("credit-risk-model", "credit")]
    [InlineData("customer-segmentation-model", "customers")]
    [InlineData("fraud-detection-model", "transactions")]
    public void The_runtime_predicts_what_the_trainer_predicts(string name, string data)
    {
        var folder = Path.Combine(SampleFilesTests.Samples, "models", name);
        var table = CsvTable.Read(Path.Combine(SampleFilesTests.Samples, "data", data + ".csv"));
        var expected = Predictions(Path.Combine(folder, "predictions.parquet"));
        OnnxLibrary.Load(NativeParts.OnnxRuntime());
        using var environment = new OnnxEnvironment();
        using var session = OnnxSession.FromFile(
            environment, Path.Combine(folder, "model.onnx"), new OnnxSessionOptions { IntraOpThreads = 1, InterOpThreads = 1 });
        var features = JsonSerializer.Deserialize<string[]>(session.Info.Metadata["features"])!;
        var rows = table.Matrix(features);

        expected.Count.ShouldBe(rows.Length);
        for (var start = 0; start < rows.Length; start += 2048)
            Compare(session, rows[start..Math.Min(start + 2048, rows.Length)], expected, start);
        for (var row = 0; row < OneByOne; row++)
            Compare(session, [rows[row]], expected, row);
    }

    static void Compare(OnnxSession session, float[][] rows, IReadOnlyList<object?[]> expected, int start)
    {
        using var input = OnnxValue.Create<float>(rows.SelectMany(r => r).ToArray(), [rows.Length, rows[0].Length]);
        var outputs = session.Run([new OnnxInput(session.Inputs[0].Name, input)]);
        var column = 1;
        foreach (var output in outputs)
        {
            var width = (int)(output.Length / rows.Length);
            for (var i = 0; i < output.Length; i++)
            {
                var wanted = expected[start + i / width][column + i % width];
                if (output.ElementType == OnnxElementType.Int64)
                    output.Span<long>()[i].ShouldBe((long)wanted!);
                else
                    ((double)output.Span<float>()[i]).ShouldBe((float)wanted!, 1e-6 + 1e-5 * Math.Abs((float)wanted));
            }
            column += width;
            output.Dispose();
        }
        column.ShouldBe(expected[0].Length);
    }

    static IReadOnlyList<object?[]> Predictions(string path)
    {
        DuckDbLibrary.Load(NativeParts.DuckDb());
        using var database = DuckDbDatabase.Open(new DuckDbSettings());
        using var connection = database.Connect();
        using var result = connection.Query($"SELECT * FROM read_parquet({DuckDbSql.PathLiteral(path)})");
        return result.Rows();
    }
}
