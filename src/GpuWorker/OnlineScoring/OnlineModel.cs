using System.Text;
using System.Text.Json;
using Contracts;
using GpuWorker.Inference;
using Interop.OnnxRuntime;

namespace GpuWorker.OnlineScoring;

/// <summary>A value that a row is asked for.</summary>
/// <param name="Input">Index among the layouts.</param>
/// <param name="Feature">Within the row's values of that input; -1 for all of them, as a list.</param>
/// <param name="IsListed">Whether it must be there; a list that stands for columns with names of their own need not.</param>
/// <param name="Whole">The column that may stand for this and its neighbours; -1 for none.</param>
sealed record RowColumn(string Name, int Input, int Feature, bool IsListed, int Whole)
{
    internal byte[] Utf8 { get; } = Encoding.UTF8.GetBytes(Name);
}

/// <summary>What online scoring knows of an open model: how rows are fed, what they give, and whether rows of several callers may share a run.</summary>
sealed class OnlineModel
{
    static readonly int[] ProbeRows = [3, 5];

    OnlineModel(ModelSession session, OnnxEnvironment environment)
    {
        (Session, Environment) = (session, environment);
        TakesOptionalsUnseen = session.File.Operators.Any(one => one.Name == "OptionalGetElement") && session.File.Operators.All(one => one.Name != "OptionalHasElement");
        OutputNames = [.. session.Onnx.Outputs.Select(port => port.Name)];
        ResultTypes = [.. session.Onnx.Outputs.Select(port => port.Type is { Kind: OnnxKind.Sequence, Inner: { Kind: OnnxKind.Map } map } ? map.Inner!.Element : port.Type.Element)];
    }

    internal ModelSession Session { get; }

    internal OnnxEnvironment Environment { get; }

    /// <summary>Why rows by name cannot be scored; null when they can.</summary>
    internal Failure? NotTabular { get; private set; }

    internal IReadOnlyList<InputLayout> Layouts { get; private set; } = [];

    internal IReadOnlyList<RowColumn> Columns { get; private set; } = [];

    internal IReadOnlyList<OutputColumn> Results { get; private set; } = [];

    /// <summary>UTF-8 of the results' names, escaped for JSON.</summary>
    internal IReadOnlyList<JsonEncodedText> ResultNames { get; private set; } = [];

    internal IReadOnlyList<string> OutputNames { get; }

    /// <summary>Of each output's elements; of a map, its values.</summary>
    internal IReadOnlyList<OnnxElementType> ResultTypes { get; }

    /// <summary>The model takes what an optional input holds without asking whether it holds anything: ONNX Runtime 1.30 ends the process when it does not.</summary>
    internal bool TakesOptionalsUnseen { get; }

    internal bool AllowMissing { get; private set; }

    internal bool AllowNaN { get; private set; } = true;

    /// <summary>Why rows of several callers are not run together; null when they are.</summary>
    internal string? Alone { get; private set; }

    /// <summary>Looks at the model and runs it once or more, which warms it up.</summary>
    internal static OnlineModel Of(ModelSession session, OnnxEnvironment environment)
    {
        var model = new OnlineModel(session, environment);
        try
        {
            model.ReadTable();
        }
        catch (FailureException e)
        {
            model.NotTabular = new Failure("model_needs_tensors",
                $"Rows by name cannot be fed to this model: {e.Message} Send tensors, as {{\"inputs\":[{{\"name\",\"shape\",\"datatype\",\"data\"}}]}}.");
        }
        model.Alone = RowIndependence.WhyNot(model);
        return model;
    }

    void ReadTable()
    {
        var metadata = ModelMetadata.Read(Session.Onnx.Info.Metadata);
        (AllowMissing, AllowNaN) = (metadata.AllowMissing, metadata.AllowNaN);
        var layouts = InputLayout.Of(Session.Onnx.Inputs, metadata.Features);
        var results = Probe(layouts, metadata.Classes);
        (Layouts, Columns, Results) = (layouts, [.. ColumnsOf(layouts, metadata.Features)], results);
        ResultNames = [.. results.Select(result => JsonEncodedText.Encode(result.Name))];
    }

    /// <summary>A reader for the keys of an output's maps.</summary>
    internal OnnxMapKeys MapKeys(int output) => new(
        Session.Onnx.Outputs[output].Type.Inner!.Element, [.. Results.Where(column => column.Output == output).Select(column => column.Key!)]);

    IReadOnlyList<OutputColumn> Probe(IReadOnlyList<InputLayout> layouts, IReadOnlyList<string>? classes)
    {
        IReadOnlyList<OutputColumn>? results = null;
        foreach (var rows in layouts[0].Batch > 0 ? [layouts[0].Batch] : ProbeRows)
        {
            var outputs = RunMild(layouts, rows);
            try
            {
                var found = OutputColumns.Of(Session.Onnx.Outputs, outputs, rows, classes);
                if (results is not null && !results.SequenceEqual(found))
                    throw new FailureException("model_output_unusable", "The number of values that a row gets depends on the rows.");
                results = found;
            }
            finally
            {
                foreach (var output in outputs)
                    output.Dispose();
            }
        }
        return results!;
    }

    // Numbers that the model uses as indices may not be any: all zero is the mildest input there is.
    IReadOnlyList<OnnxValue> RunMild(IReadOnlyList<InputLayout> layouts, int rows)
    {
        try
        {
            return Run(layouts, new GeneratedRows(constant: false), rows);
        }
        catch (OnnxException)
        {
            try
            {
                return Run(layouts, new GeneratedRows(constant: true), rows);
            }
            catch (OnnxException e)
            {
                throw new FailureException(new Failure("model_dry_run_failed", $"The model fails on made-up rows: {e.Message}"), inner: e);
            }
        }
    }

    IReadOnlyList<OnnxValue> Run(IReadOnlyList<InputLayout> layouts, GeneratedRows rows, int count)
    {
        var inputs = layouts.Select(layout => new OnnxInput(layout.Name, rows.Tensor(layout, count))).ToArray();
        try
        {
            return OnlineRun.Run(this, inputs, [], null);
        }
        finally
        {
            foreach (var input in inputs)
                input.Value.Dispose();
        }
    }

    static IEnumerable<RowColumn> ColumnsOf(IReadOnlyList<InputLayout> layouts, IReadOnlyList<string>? features)
    {
        var column = 0;
        for (var input = 0; input < layouts.Count; input++)
        {
            var layout = layouts[input];
            if (layouts.Count == 1 && features?.Count == layout.Features && layout.Features > 1)
            {
                // The list under the input's own name comes behind the named ones, unless one of them is called so.
                var whole = features.Contains(layout.Name) ? -1 : column + layout.Features;
                foreach (var (name, feature) in features.Select((name, feature) => (name, feature)))
                    yield return new RowColumn(name, input, feature, IsListed: true, whole);
                if (whole >= 0)
                    yield return new RowColumn(layout.Name, input, -1, IsListed: false, -1);
                column += layout.Features + (whole >= 0 ? 1 : 0);
                continue;
            }
            var single = layouts.Count == 1 && features is [var named] ? named : layout.Name;
            yield return new RowColumn(single, input, layout.Features == 1 ? 0 : -1, IsListed: true, -1);
            column++;
        }
    }
}
