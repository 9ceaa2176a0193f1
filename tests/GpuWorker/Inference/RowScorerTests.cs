using System.Runtime.InteropServices;
using System.Text;
using Contracts;
using GpuWorker.Inference;
using Interop.OnnxRuntime;

namespace GpuWorker.Tests.Inference;

[Collection("Inference")]
public sealed unsafe class RowScorerTests(InferenceFixture inference)
{
    [Theory]
    [InlineData(1)]
    [InlineData(37)]
    [InlineData(2048)]
    public void Columns_are_scored_as_the_model_scores_rows(int rows)
    {
        var model = inference.Conformance("winml_iris_pytorch");
        var signature = inference.Inspect(model).Signature;
        using var session = inference.Open(model);
        using var scorer = new RowScorer(inference.Environment, session, signature, ["input"]);
        var random = new Random(1);
        var features = Enumerable.Range(0, 4).Select(_ => Enumerable.Range(0, rows).Select(_ => random.NextSingle()).ToArray()).ToArray();
        // Twice: the second time the outputs are written in place.
        for (var time = 0; time < 2; time++)
        {
            scorer.Begin(rows);
            PackAll(scorer, 0, features);
            scorer.Run();
            using var input = OnnxValue.Create<float>([.. Enumerable.Range(0, rows).SelectMany(row => features.Select(column => column[row]))], [rows, 4]);
            using var expected = session.Onnx.Run([new OnnxInput("input", input)])[0];
            for (var column = 0; column < 3; column++)
            {
                Column<float>(scorer, column, rows)
                    .ShouldBe(Enumerable.Range(0, rows).Select(row => expected.Span<float>()[row * 3 + column]));
            }
        }
    }

    [Theory]
    [InlineData(1, 5)]
    [InlineData(8, 16)]
    [InlineData(30, 2048)]
    [InlineData(30, 1001)]
    [InlineData(7, 40)]
    [InlineData(17, 33)]
    public void Any_number_of_columns_and_rows_is_packed_row_by_row(int features, int rows)
    {
        var columns = Enumerable.Range(0, features).Select(f => Enumerable.Range(0, rows).Select(r => (float)(f * 10000 + r)).ToArray()).ToArray();
        var packed = new float[features * rows];
        var handles = columns.Select(column => GCHandle.Alloc(column, GCHandleType.Pinned)).ToArray();
        var pointers = handles.Select(handle => handle.AddrOfPinnedObject()).ToArray();
        fixed (nint* columnPointers = pointers)
        fixed (float* target = packed)
            Columns.Pack(OnnxElementType.Float, (void**)columnPointers, (byte*)target, features, rows);
        foreach (var handle in handles)
            handle.Free();
        packed.ShouldBe(Enumerable.Range(0, rows).SelectMany(r => columns.Select(column => column[r])));
    }

    [Fact]
    public void Maps_of_probabilities_become_columns_in_steps_of_the_models_batch()
    {
        var model = inference.Conformance("ort_logreg_iris_zipmap");
        var signature = inference.Inspect(model).Signature;
        using var session = inference.Open(model);
        using var scorer = new RowScorer(inference.Environment, session, signature, ["float_input"], capacity: 10);
        foreach (var rows in (int[])[10, 1, 3, 0, 7])
        {
            var features = Enumerable.Range(0, 2).Select(f => Enumerable.Range(0, rows).Select(r => r * 0.7f + f).ToArray()).ToArray();
            scorer.Begin(rows);
            PackAll(scorer, 0, features);
            scorer.Run();
            var labels = Column<long>(scorer, 0, rows);
            var probabilities = Enumerable.Range(1, 3).Select(column => Column<float>(scorer, column, rows)).ToArray();
            for (var row = 0; row < rows; row++)
            {
                // The model takes three rows at once: the same one three times.
                using var input = OnnxValue.Create<float>([.. Enumerable.Repeat(features.Select(column => column[row]), 3).SelectMany(one => one)], [3, 2]);
                var expected = session.Onnx.Run([new OnnxInput("float_input", input)]);
                using var map = expected[1].Item(0);
                using var values = map.MapValues();
                labels[row].ShouldBe(expected[0].Span<long>()[0]);
                probabilities.Select(column => column[row]).ShouldBe(values.Span<float>().ToArray());
                foreach (var value in expected)
                    value.Dispose();
            }
        }
    }

    [Fact]
    public void Strings_go_in_and_come_out_whatever_they_hold()
    {
        var model = inference.Conformance("onnx_string_concat_utf8");
        var signature = inference.Inspect(model).Signature;
        using var session = inference.Open(model);
        using var scorer = new RowScorer(inference.Environment, session, signature, ["x", "y"]);
        foreach (var rows in (int[])[5, 2, 1])
        {
            scorer.Begin(rows);
            for (var row = 0; row < rows; row++)
            {
                scorer.SetText(0, 0, row, Encoding.UTF8.GetBytes($"ü{row}"));
                if (row > 0)
                    scorer.SetText(1, 0, row, "\0b"u8);
            }
            scorer.Run();
            for (var row = 0; row < rows; row++)
                Encoding.UTF8.GetString(scorer.Text(0, row)).ShouldBe(row == 0 ? "ü0" : $"ü{row}\0b");
        }
    }

    [Fact]
    public void Numbers_and_strings_are_fed_together_to_a_model_of_one_row()
    {
        var model = inference.Conformance("mlnet_breast_cancer_multiclass");
        var signature = inference.Inspect(model).Signature;
        using var session = inference.Open(model);
        // In another order than the model's.
        using var scorer = new RowScorer(inference.Environment, session, signature, ["Features", "Label"], capacity: 4);
        scorer.Inputs.Select(input => $"{input.Name} {input.Features} {input.ColumnType}").ShouldBe(["Features 8 FLOAT", "Label 1 VARCHAR"]);
        scorer.Begin(3);
        PackAll(scorer, 0, [.. Enumerable.Range(0, 8).Select(f => new float[] { f, 2 * f, 3 * f })]);
        for (var row = 0; row < 3; row++)
            scorer.SetText(1, 0, row, "0"u8);
        scorer.Run();
        var echoed = signature.Columns.Select((column, i) => (column, i)).First(one => one.column.Name == "Features.onnx_5").i;
        // The model gives its features back divided by ten.
        Column<float>(scorer, echoed, 3).ShouldBe([0.5f, 1, 1.5f]);
    }

    [Fact]
    public void Half_floats_go_through_float_columns_and_missing_values_are_nan()
    {
        var model = inference.Conformance("ort_fp16_to_fp32");
        var signature = inference.Inspect(model).Signature;
        using var session = inference.Open(model);
        using var scorer = new RowScorer(inference.Environment, session, signature, ["input"]);
        scorer.Inputs[0].ColumnType.ShouldBe("FLOAT");
        scorer.Begin(2);
        PackAll(scorer, 0, [[1, 2], [0.5f, 0.25f], [-2, 8], [3.25f, 0], [100, -100]]);
        scorer.SetMissing(0, 1, 0);
        scorer.Run();
        Column<float>(scorer, 4, 2).ShouldBe([100, -100]);
        Column<float>(scorer, 1, 2).ShouldBe([float.NaN, 0.25f]);
    }

    [Fact]
    public void The_numeric_path_allocates_nothing()
    {
        var model = inference.Conformance("winml_iris_pytorch");
        var signature = inference.Inspect(model).Signature;
        using var session = inference.Open(model);
        using var scorer = new RowScorer(inference.Environment, session, signature, ["input"]);
        using var column = new AlignedBuffer(2048 * sizeof(float));
        var columns = stackalloc void*[4];
        for (var i = 0; i < 4; i++)
            columns[i] = column.Pointer;
        Round(200);
        var before = GC.GetAllocatedBytesForCurrentThread();
        Round(1000);
        (GC.GetAllocatedBytesForCurrentThread() - before).ShouldBe(0);

        void Round(int times)
        {
            for (var i = 0; i < times; i++)
            {
                scorer.Begin(100 + i % 7);
                scorer.Pack(0, columns);
                scorer.Run();
                scorer.CopyColumn(1, column.Pointer);
            }
        }
    }

    [Fact]
    public void What_the_model_cannot_take_is_a_failure_and_a_stop_is_not()
    {
        var model = inference.Conformance("winml_iris_pytorch");
        var signature = inference.Inspect(model).Signature;
        using var session = inference.Open(model);
        using var scorer = new RowScorer(inference.Environment, session, signature, ["input"]);
        using var run = new OnnxRunOptions();
        run.Terminate();
        scorer.Begin(1);
        Should.Throw<OperationCanceledException>(() => scorer.Run(run));
        run.Reset();
        scorer.Run(run);
        Should.Throw<InvalidOperationException>(() => scorer.SetText(0, 0, 0, "a"u8));
        Should.Throw<InvalidOperationException>(() => scorer.Text(0, 0).Length);
        Should.Throw<ArgumentOutOfRangeException>(() => scorer.Begin(scorer.Capacity + 1));
        Should.Throw<ArgumentException>(() => new RowScorer(inference.Environment, session, signature, []));
        Should.Throw<ArgumentException>(() => new RowScorer(inference.Environment, session, signature, ["input", "absent"]));
    }

    static void PackAll(RowScorer scorer, int input, float[][] columns)
    {
        var handles = columns.Select(column => GCHandle.Alloc(column, GCHandleType.Pinned)).ToArray();
        var pointers = handles.Select(handle => handle.AddrOfPinnedObject()).ToArray();
        fixed (nint* columnPointers = pointers)
            scorer.Pack(input, (void**)columnPointers);
        foreach (var handle in handles)
            handle.Free();
    }

    static T[] Column<T>(RowScorer scorer, int column, int rows) where T : unmanaged
    {
        var values = new T[rows];
        fixed (T* target = values)
            scorer.CopyColumn(column, target);
        return values;
    }
}
