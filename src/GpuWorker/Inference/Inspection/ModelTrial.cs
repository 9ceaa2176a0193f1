using Contracts;
using Interop.OnnxRuntime;

namespace GpuWorker.Inference.Inspection;

/// <summary>
/// Reads a model file that nobody vouches for: what it takes and gives, whether rows of a table can be fed to it, which columns come
/// out, how fast one worker slot scores and how much memory that takes. Such a file can take the process with it.
/// </summary>
sealed class ModelTrial(OnnxEnvironment environment, InferenceOptions options, TimeProvider time)
{
    /// <summary>Rows of which the memory is measured.</summary>
    const int MicroBatch = 256;

    static readonly TimeSpan Measured = TimeSpan.FromMilliseconds(400);
    static readonly TimeSpan Window = TimeSpan.FromMilliseconds(20);
    static readonly TimeSpan LongestStep = TimeSpan.FromMilliseconds(50);

    // Two different numbers, neither of them a likely width: what follows the rows shows itself.
    static readonly int[] ProbeRows = [3, 5];

    /// <param name="path">Of the .onnx file; the others lie beside it.</param>
    /// <param name="sha256">The version.</param>
    /// <param name="files">Every file of the model; null where the .onnx file is all.</param>
    /// <exception cref="FailureException">The model is refused: <c>model_invalid</c>, <c>model_changed</c>, <c>model_unsupported_operator</c>,
    /// <c>model_dry_run_failed</c>, <c>model_too_slow</c>, <c>model_too_large</c>.</exception>
    public ModelInspected Inspect(string path, string sha256, IReadOnlyList<ModelFile>? files = null, CancellationToken cancellationToken = default) =>
        WithinTime(stop =>
        {
            ModelFileRules.Check(path, files, options.MaxModelBytes);
            var before = MemoryPeak.Restart();
            using var session = ModelSession.Open(environment, path, sha256, options);
            var loaded = Math.Max(0, MemoryPeak.Bytes() - before);
            return Inspect(session, before, stop) with { PeakLoadBytes = loaded };
        }, cancellationToken);

    /// <exception cref="FailureException"><c>adapter_invalid</c>: it is none. <c>adapter_does_not_fit</c>: the model fails with it.</exception>
    public AdapterInspected InspectAdapter(
        string path, string adapterSha256, string modelPath, string sha256, IReadOnlyList<ModelFile>? files = null, CancellationToken cancellationToken = default) =>
        WithinTime(stop =>
        {
            ModelFileRules.Check(modelPath, files, options.MaxModelBytes);
            using var session = ModelSession.Open(environment, modelPath, sha256, options);
            using var adapter = OpenAdapter(path);
            using var run = new OnnxRunOptions();
            run.AddAdapter(adapter);
            if (!OpenTensors.TryRun(session.Onnx, run, stop, out var problem))
                throw new FailureException("adapter_does_not_fit", $"The model fails with the adapter on made-up input: {problem}");
            return new AdapterInspected(adapterSha256);
        }, cancellationToken);

    static OnnxLoraAdapter OpenAdapter(string path)
    {
        try
        {
            return OnnxLoraAdapter.FromFile(path);
        }
        catch (OnnxException error)
        {
            throw new FailureException(new Failure("adapter_invalid", $"The file is not a LoRA adapter: {error.Message}. Convert it to .onnx_adapter and send that."), inner: error);
        }
    }

    T WithinTime<T>(Func<CancellationToken, T> look, CancellationToken cancellationToken)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(options.DryRunSeconds), time);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        try
        {
            return look(stop.Token);
        }
        catch (OperationCanceledException error) when (!cancellationToken.IsCancellationRequested)
        {
            throw new FailureException(new Failure("model_too_slow",
                $"A dry run on a little made-up input took more than {options.DryRunSeconds} s (Inference:DryRunSeconds)."), inner: error);
        }
    }

    ModelInspected Inspect(ModelSession session, long before, CancellationToken stop)
    {
        var onnx = session.Onnx;
        var metadata = ModelMetadata.Read(onnx.Info.Metadata);
        var signature = new ModelSignature(
            [.. onnx.Inputs.Select(Tensor)], [.. onnx.Outputs.Select(Tensor)], [], metadata.Features, metadata.AllowMissing, metadata.AllowNaN,
            onnx.Info.Metadata, session.File.Producer);
        try
        {
            var layouts = InputLayout.Of(onnx.Inputs, metadata.Features);
            CheckFeatures(layouts, metadata.Features);
            var (columns, secondsPerRow, rows) = DryRun(onnx, layouts, metadata, stop);
            signature = signature with { Columns = columns };
            var peak = MeasureMemory(onnx, layouts, rows, secondsPerRow, before, stop);
            return new ModelInspected(
                session.Sha256, signature, Measure(session, signature, layouts, rows, secondsPerRow, stop), PeakBatchBytes: peak, Golden: SelfTest.Record(onnx, metadata.Features, rows.IsConstant));
        }
        catch (FailureException error) when (error.Failure.Code is "model_shape_unfeedable" or "model_output_unusable")
        {
            // No table for it, then: it takes tensors.
            signature = signature with { NotTabular = error.Failure };
        }
        _ = MemoryPeak.Restart();
        if (!OpenTensors.TryRun(onnx, null, stop, out var problem))
        {
            // Where every size is said, made-up input of that size must do; where one is open, it may be no size that the model can take.
            signature = OpenTensors.HasOpenSizes(onnx.Inputs)
                ? signature with { NotTried = problem }
                : throw new FailureException("model_dry_run_failed", $"The model fails on made-up input: {problem}");
        }
        return new ModelInspected(session.Sha256, signature, 0, PeakBatchBytes: Math.Max(0, MemoryPeak.Bytes() - before));
    }

    long MeasureMemory(OnnxSession onnx, IReadOnlyList<InputLayout> layouts, GeneratedRows generated, double secondsPerRow, long before, CancellationToken stop)
    {
        var affordable = (int)Math.Clamp(options.DryRunSeconds / 4.0 / Math.Max(secondsPerRow, 1e-9), 1, MicroBatch);
        _ = MemoryPeak.Restart();
        try
        {
            foreach (var value in Run(onnx, layouts, generated, layouts[0].Batch > 0 ? layouts[0].Batch : affordable, stop))
                value.Dispose();
        }
        catch (OnnxException error)
        {
            throw new FailureException(new Failure("model_dry_run_failed", $"The model fails on {affordable} made-up rows: {error.Message}"), inner: error);
        }
        return Math.Max(0, MemoryPeak.Bytes() - before);
    }

    static void CheckFeatures(IReadOnlyList<InputLayout> layouts, IReadOnlyList<string>? features)
    {
        if (features is null || layouts.Count > 1)
            return;
        if (layouts[0].Features != features.Count)
        {
            throw new FailureException("model_invalid",
                $"The model's metadata lists {features.Count} features, and its input {layouts[0].Name} takes {layouts[0].Features} values a row.");
        }
    }

    (IReadOnlyList<OutputColumn> Columns, double SecondsPerRow, GeneratedRows Rows) DryRun(
        OnnxSession onnx, IReadOnlyList<InputLayout> layouts, ModelMetadata metadata, CancellationToken stop)
    {
        var rows = new GeneratedRows(constant: false);
        try
        {
            return Probe(rows);
        }
        catch (OnnxException)
        {
            // Numbers that the model uses as indices may not be any: all zero is the mildest input there is.
            rows = new GeneratedRows(constant: true);
        }
        try
        {
            return Probe(rows);
        }
        catch (OnnxException error)
        {
            throw new FailureException(new Failure("model_dry_run_failed", $"The model fails on made-up rows: {error.Message}"), inner: error);
        }

        (IReadOnlyList<OutputColumn>, double, GeneratedRows) Probe(GeneratedRows generated)
        {
            IReadOnlyList<OutputColumn>? columns = null;
            var (seconds, count) = (0.0, 1);
            foreach (var probe in layouts[0].Batch > 0 ? [layouts[0].Batch] : ProbeRows)
            {
                var started = time.GetTimestamp();
                var values = Run(onnx, layouts, generated, probe, stop);
                (seconds, count) = (time.GetElapsedTime(started).TotalSeconds, probe);
                try
                {
                    var found = OutputColumns.Of(onnx.Outputs, values, probe, metadata.Classes);
                    if (columns is not null && !columns.SequenceEqual(found))
                        throw new FailureException("model_output_unusable", $"The model gives {columns.Count} values a row for some rows and {found.Count} for others.");
                    columns = found;
                }
                finally
                {
                    foreach (var value in values)
                        value.Dispose();
                }
            }
            return (columns!, seconds / count, generated);
        }
    }

    IReadOnlyList<OnnxValue> Run(OnnxSession onnx, IReadOnlyList<InputLayout> layouts, GeneratedRows generated, int rows, CancellationToken stop)
    {
        var inputs = new List<OnnxInput>();
        try
        {
            foreach (var layout in layouts)
                inputs.Add(new OnnxInput(layout.Name, generated.Tensor(layout, rows)));
            foreach (var input in onnx.Inputs.Where(input => input.Type.Kind == OnnxKind.Optional))
                inputs.Add(new OnnxInput(input.Name, OnnxValue.None(environment, input.Type.Inner!)));
            return onnx.Run([.. inputs], cancellationToken: stop);
        }
        finally
        {
            foreach (var input in inputs)
                input.Value.Dispose();
        }
    }

    double Measure(
        ModelSession session, ModelSignature signature, IReadOnlyList<InputLayout> layouts, GeneratedRows generated, double secondsPerRow, CancellationToken stop)
    {
        var rows = (int)Math.Clamp(LongestStep.TotalSeconds / Math.Max(secondsPerRow, 1e-9), Math.Max(layouts[0].Batch, 1), RowScorer.DefaultCapacity);
        using var scorer = new RowScorer(environment, session, signature, [.. layouts.Select(layout => layout.Name)], rows);
        using var run = new OnnxRunOptions();
        using var registration = stop.UnsafeRegister(static state => ((OnnxRunOptions)state!).Terminate(), run);
        scorer.Begin(rows);
        generated.Pack(scorer, rows);
        // The first run finds the outputs' shapes, and is slower.
        scorer.Run(run);
        // The best window: what other work on the machine takes away is not the model's speed.
        var (best, begun) = (0.0, time.GetTimestamp());
        while (time.GetElapsedTime(begun) < Measured)
        {
            var (scored, started) = (0L, time.GetTimestamp());
            do
            {
                scorer.Run(run);
                scored += rows;
            }
            while (time.GetElapsedTime(started) < Window);
            best = Math.Max(best, scored / time.GetElapsedTime(started).TotalSeconds);
        }
        return best;
    }

    static ModelTensor Tensor(OnnxPort port) => new(
        port.Name, port.Type.ToString(), port.Type.Shape is null ? null : [.. port.Type.Shape.Select(size => size <= 0 ? -1 : size)],
        port.Type.Kind == OnnxKind.Optional);
}
