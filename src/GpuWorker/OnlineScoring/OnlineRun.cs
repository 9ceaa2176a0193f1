using Contracts;
using GpuWorker.Inference;
using Interop.OnnxRuntime;

namespace GpuWorker.OnlineScoring;

/// <summary>Outputs of a run that several answers are written from; gone with the last.</summary>
sealed class RunOutputs(IReadOnlyList<OnnxValue> values, int users)
{
    int users = users;

    internal IReadOnlyList<OnnxValue> Values => values;

    internal void Release()
    {
        if (Interlocked.Decrement(ref users) > 0)
            return;
        foreach (var value in values)
            value.Dispose();
    }
}

/// <summary>Some rows of a run's outputs.</summary>
readonly record struct ScoredRows(RunOutputs Outputs, int First, int Count);

/// <summary>What one request got.</summary>
/// <param name="Parts">In the order of the request's rows; one, unless the model takes a fixed or smaller number at once.</param>
sealed record ScoringResult(IReadOnlyList<ScoredRows> Parts) : IDisposable
{
    public void Dispose()
    {
        foreach (var part in Parts)
            part.Outputs.Release();
    }
}

/// <summary>Runs of a model for one request, or for several that may share one.</summary>
static class OnlineRun
{
    internal static IReadOnlyList<OnnxValue> Run(OnlineModel model, OnnxInput[] inputs, IReadOnlyList<string> outputs, OnnxRunOptions? options) =>
        model.Session.Onnx.Run(inputs, outputs.Count == 0 ? default : outputs.ToArray(), options);

    /// <exception cref="FailureException"><c>scoring_failed</c>: the model cannot take these values.</exception>
    internal static ScoringResult Alone(OnlineModel model, ScoringRequest request, OnnxRunOptions options)
    {
        try
        {
            if (request.Form != BodyForm.Tensors && model.Layouts[0].Batch is > 0 and var batch)
                return InSteps(model, Padded(request, batch), request.Rows, () => batch, options);
            return model.Alone is null && request.Rows > 1
                ? InSteps(model, request, request.Rows, () => model.Session.RowLimit, options)
                : new ScoringResult([AtOnce(model, request, options)]);
        }
        catch (OnnxException e)
        {
            throw new FailureException(new Failure("scoring_failed", $"The model cannot score this: {e.Message}"), inner: e);
        }
    }

    /// <summary>All rows in one run.</summary>
    /// <exception cref="OnnxException">One of the requests, or all of them together, are to blame.</exception>
    internal static ScoringResult[] Together(OnlineModel model, IReadOnlyList<ScoringRequest> requests, OnnxRunOptions options)
    {
        var ports = model.Session.Onnx.Inputs;
        var rows = requests.Sum(request => request.Rows);
        var tensors = new TensorData[ports.Count];
        var inputs = new OnnxInput[ports.Count];
        try
        {
            for (var i = 0; i < ports.Count; i++)
            {
                var first = Find(requests[0], ports[i].Name);
                tensors[i] = new TensorData(first.Tensor!.Type, first.Tensor.Count / requests[0].Rows * rows);
                foreach (var request in requests)
                    tensors[i].Append(Find(request, ports[i].Name).Tensor!);
                inputs[i] = new OnnxInput(ports[i].Name, tensors[i].ToValue([rows, .. first.Shape.AsSpan(1)], 0, tensors[i].Count));
            }
            var outputs = new RunOutputs(Run(model, inputs, [], options), requests.Count);
            var results = new ScoringResult[requests.Count];
            for (var (i, first) = (0, 0); i < results.Length; first += requests[i++].Rows)
                results[i] = new ScoringResult([new ScoredRows(outputs, first, requests[i].Rows)]);
            return results;
        }
        finally
        {
            foreach (var input in inputs)
                input.Value?.Dispose();
            foreach (var tensor in tensors)
                tensor?.Dispose();
        }
    }

    static InputValue Find(ScoringRequest request, string name)
    {
        foreach (var input in request.Inputs)
            if (input.Name == name)
                return input;
        throw new InvalidOperationException($"The request has no input {name}.");
    }

    static ScoredRows AtOnce(OnlineModel model, ScoringRequest request, OnnxRunOptions options)
    {
        var inputs = new List<OnnxInput>(request.Inputs.Count);
        try
        {
            foreach (var input in request.Inputs)
                inputs.Add(new OnnxInput(input.Name, input.ToValue(model.Environment, TypeOf(model, input.Name))));
            foreach (var port in model.Session.Onnx.Inputs)
                if (port.Type.Kind == OnnxKind.Optional && request.Inputs.All(input => input.Name != port.Name))
                    inputs.Add(new OnnxInput(port.Name, OnnxValue.None(model.Environment, port.Type.Inner!)));
            return new ScoredRows(new RunOutputs(Run(model, [.. inputs], request.Form == BodyForm.Tensors ? request.Outputs : [], options), 1), 0, request.Rows);
        }
        finally
        {
            foreach (var input in inputs)
                input.Value.Dispose();
        }
    }

    static OnnxType TypeOf(OnlineModel model, string name)
    {
        var onnx = model.Session.Onnx;
        var type = onnx.Inputs.Concat(onnx.OverridableInitializers).First(port => port.Name == name).Type;
        return type.Kind == OnnxKind.Optional ? type.Inner! : type;
    }

    // The rows that fill up the last step are zero, and nobody sees what they give.
    static ScoringRequest Padded(ScoringRequest request, int batch)
    {
        foreach (var input in request.Inputs)
            input.Tensor!.Extend((batch - request.Rows % batch) % batch * (input.Tensor.Count / request.Rows));
        return request with { Rows = (request.Rows + batch - 1) / batch * batch };
    }

    /// <param name="rows">Of the request; what is beyond fills up.</param>
    /// <param name="step">Most rows of a run. When they do not fit the memory, fewer are tried, unless the model takes no fewer.</param>
    static ScoringResult InSteps(OnlineModel model, ScoringRequest request, int rows, Func<int> step, OnnxRunOptions options)
    {
        var parts = new List<ScoredRows>();
        try
        {
            for (var first = 0; first < rows;)
            {
                var count = Math.Min(step(), request.Rows - first);
                try
                {
                    parts.Add(new ScoredRows(new RunOutputs(RunRows(model, request, first, count, options), 1), 0, Math.Min(count, rows - first)));
                    first += count;
                }
                catch (OnnxException e) when (e.IsOutOfMemory && count > 1 && model.Alone is null)
                {
                    model.Session.LimitRows(count);
                }
            }
            return new ScoringResult(parts);
        }
        catch
        {
            new ScoringResult(parts).Dispose();
            throw;
        }
    }

    static IReadOnlyList<OnnxValue> RunRows(OnlineModel model, ScoringRequest request, int first, int count, OnnxRunOptions options)
    {
        var inputs = new OnnxInput[request.Inputs.Count];
        try
        {
            for (var i = 0; i < inputs.Length; i++)
            {
                var input = request.Inputs[i];
                var width = input.Tensor!.Count / request.Rows;
                inputs[i] = new OnnxInput(input.Name, input.Tensor.ToValue([count, .. input.Shape.AsSpan(1)], first * width, count * width));
            }
            return Run(model, inputs, [], options);
        }
        finally
        {
            foreach (var input in inputs)
                input.Value?.Dispose();
        }
    }
}
