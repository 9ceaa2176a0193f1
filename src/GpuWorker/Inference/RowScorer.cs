using Contracts;
using Interop.OnnxRuntime;

namespace GpuWorker.Inference;

/// <summary>
/// One thread's way to score rows of columns with a model. For each vector of rows: <see cref="Begin"/>, then
/// <see cref="Pack(int, void**)"/> (numbers) or <see cref="SetText"/> (strings) for every input, <see cref="Run"/>, and
/// <see cref="CopyColumn"/> or <see cref="Text"/> for every output column. Nothing managed is allocated per row, and per run only
/// for string tensors and maps. Make one per thread; the session behind is shared.
/// </summary>
public sealed unsafe class RowScorer : IDisposable
{
    /// <summary>Rows of a DuckDB vector.</summary>
    public const int DefaultCapacity = 2048;

    readonly ScorerInput[] inputs;
    readonly ScorerOutput[] outputs;
    readonly OutputColumn[] columns;
    readonly List<OnnxValue> absent = [];
    readonly ModelSession model;
    readonly OnnxCall call;
    readonly int batch;
    int rows;
    (int First, int Step) prepared = (-1, 0);

    /// <param name="environment">Only used for optional inputs that are not fed.</param>
    /// <param name="model">Must outlive the scorer.</param>
    /// <param name="signature">Of that model, as <see cref="ModelInspector"/> made it.</param>
    /// <param name="inputNames">The inputs that will be packed, in the order of the index given to <c>Pack</c>: those of the mapping.</param>
    /// <param name="capacity">Most rows of a run.</param>
    public RowScorer(
        OnnxEnvironment environment, ModelSession model, ModelSignature signature, IReadOnlyList<string> inputNames, int capacity = DefaultCapacity)
    {
        var layouts = InputLayout.Of(model.Onnx.Inputs, signature.Features);
        this.model = model;
        batch = layouts[0].Batch;
        Capacity = capacity;
        Inputs = [.. inputNames.Select(name => layouts.FirstOrDefault(layout => layout.Name == name)
            ?? throw new ArgumentException($"The model has no input {name} that must be fed.", nameof(inputNames)))];
        if (layouts.FirstOrDefault(layout => !inputNames.Contains(layout.Name)) is { } unfed)
            throw new ArgumentException($"The input {unfed.Name} must be fed.", nameof(inputNames));

        var optional = model.Onnx.Inputs.Where(input => input.Type.Kind == OnnxKind.Optional).ToArray();
        var padded = batch == 0 ? capacity : (capacity + batch - 1) / batch * batch;
        inputs = [.. Inputs.Select(layout => new ScorerInput(layout, padded))];
        columns = [.. signature.Columns];
        outputs = [.. model.Onnx.Outputs.Select((port, i) => new ScorerOutput(port, [.. columns.Where(column => column.Output == i)], padded))];
        call = new OnnxCall(
            model.Onnx, [.. inputNames, .. optional.Select(input => input.Name)], [.. model.Onnx.Outputs.Select(port => port.Name)]);
        for (var i = 0; i < optional.Length; i++)
        {
            absent.Add(OnnxValue.None(environment, optional[i].Type.Inner!));
            call.SetInput(inputNames.Count + i, absent[i]);
        }
    }

    /// <summary>Most rows of a run.</summary>
    public int Capacity { get; }

    /// <summary>The execution provider that serves the model.</summary>
    internal string Provider => model.Onnx.Provider;

    /// <summary>What to pack: name, values a row and DuckDB's type of the columns (<see cref="InputLayout.ColumnType"/>).</summary>
    public IReadOnlyList<InputLayout> Inputs { get; }

    /// <summary>Starts a vector of rows.</summary>
    public void Begin(int rowCount)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(rowCount);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(rowCount, Capacity);
        rows = rowCount;
        foreach (var input in inputs)
            input.Begin(rows, batch);
    }

    /// <summary>Packs all columns of an input: one pointer for each of its features, each to as many values as there are rows.</summary>
    public void Pack(int input, void** values) => Columns.Pack(inputs[input].Numbers, values, inputs[input].Rows, inputs[input].Features, rows);

    /// <summary>Packs one column of an input.</summary>
    public void Pack(int input, int feature, void* values) =>
        Columns.Pack(inputs[input].Numbers, values, inputs[input].Rows, feature, inputs[input].Features, rows);

    /// <summary>Sets one value of a string input. Strings that are not set are empty.</summary>
    public void SetText(int input, int feature, int row, ReadOnlySpan<byte> utf8) => inputs[input].SetText(feature, row, utf8);

    /// <summary>Makes one packed value NaN; only inputs of real numbers have that.</summary>
    public void SetMissing(int input, int feature, int row) => inputs[input].SetMissing(feature, row);

    /// <summary>Scores the rows.</summary>
    /// <param name="options">To stop it from another thread.</param>
    /// <exception cref="FailureException"><c>scoring_failed</c>: the model cannot take these values.</exception>
    /// <exception cref="OperationCanceledException">The options were told to terminate.</exception>
    public void Run(OnnxRunOptions? options = null)
    {
        foreach (var output in outputs)
            output.Begin(rows);
        for (var first = 0; first < rows;)
        {
            var step = batch == 0 ? Math.Min(rows - first, model.RowLimit) : batch;
            if (TryRunStep(first, step, options))
                first += step;
        }
    }

    /// <summary>
    /// Copies an output column, by its index in the signature, as values of its DuckDB type: one for each row of the last run.
    /// </summary>
    public void CopyColumn(int column, void* destination) =>
        outputs[columns[column].Output].Copy(columns[column].Index, destination, rows);

    /// <summary>One value of an output column of strings, as UTF-8; valid until the next run.</summary>
    public ReadOnlySpan<byte> Text(int column, int row) => outputs[columns[column].Output].Text(columns[column].Index, row);

    public void Dispose()
    {
        call.Dispose();
        foreach (var input in inputs)
            input.Dispose();
        foreach (var output in outputs)
            output.Dispose();
        foreach (var value in absent)
            value.Dispose();
    }

    /// <returns>False when the rows did not fit the memory: fewer may.</returns>
    bool TryRunStep(int first, int step, OnnxRunOptions? options)
    {
        // The same memory and number of rows as in the last run: everything is set already.
        if (prepared != (first, step))
        {
            for (var i = 0; i < inputs.Length; i++)
                inputs[i].Set(call, i, first, step);
            for (var i = 0; i < outputs.Length; i++)
                outputs[i].Set(call, i, first, step);
            prepared = (first, step);
        }
        else
        {
            for (var i = 0; i < inputs.Length; i++)
                inputs[i].SetChanging(call, i, first, step);
        }
        try
        {
            call.Run(options);
        }
        catch (OnnxException error) when (error.IsOutOfMemory && batch == 0 && step > 1)
        {
            model.LimitRows(step);
            return false;
        }
        catch (OnnxException error)
        {
            throw new FailureException(new Failure("scoring_failed", $"The model cannot score these rows: {error.Message}"), inner: error);
        }
        for (var i = 0; i < outputs.Length; i++)
        {
            if (outputs[i].IsMadeByRuntime && outputs[i].Take(call, i, first, step, Math.Min(step, rows - first)))
                prepared = (-1, 0);
        }
        return true;
    }
}
