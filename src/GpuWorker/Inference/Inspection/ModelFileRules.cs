using Contracts;
using Interop.OnnxRuntime;

namespace GpuWorker.Inference.Inspection;

/// <summary>What a model's files may not be, found by reading them and before ONNX Runtime sees them.</summary>
static class ModelFileRules
{
    /// <param name="files">Every file of the model; null where the .onnx file is all.</param>
    /// <param name="most">Bytes of the .onnx file.</param>
    /// <exception cref="FailureException"><c>model_invalid</c>, <c>model_unsupported_operator</c>.</exception>
    public static void Check(string path, IReadOnlyList<ModelFile>? files, long most)
    {
        var bytes = ModelSession.Read(path, most);
        var file = ModelSession.Parse(bytes, path);
        if (file.Operators.Any(one => one.Name == "EPContext"))
        {
            throw new FailureException("model_unsupported_operator",
                "The model holds programs compiled for a device (EPContext), which nobody can look into. Export it without them.");
        }
        ModelSession.CheckOperators(file);
        var others = files?.Where(one => one.Name != ModelFile.Model).ToList() ?? [];
        foreach (var tensor in file.ExternalData)
            CheckExternal(tensor, others);
        var surplus = others.Select(one => one.Name).Except(file.ExternalFiles).ToList();
        if (surplus.Count > 0)
            throw new FailureException("model_invalid", $"The model names no file {string.Join(", ", surplus)}. Send the files whose names are in it, and no others.");
    }

    static void CheckExternal(OnnxExternalData tensor, List<ModelFile> others)
    {
        if (others.FirstOrDefault(one => one.Name == tensor.Location) is not { } file)
            throw new FailureException("model_invalid", $"The model keeps weights in {tensor.Location}, which is not one of its files. Send it as a further part of the form, under that name, or save the model as one file.");
        if (tensor.Offset is < 0 || tensor.Length is < 0 || (tensor.Offset ?? 0) > file.Bytes || (tensor.Length ?? 0) > file.Bytes - (tensor.Offset ?? 0))
        {
            throw new FailureException("model_invalid",
                $"The model looks for weights in {tensor.Location} at {tensor.Offset ?? 0}, {(tensor.Length is { } length ? $"{length} bytes" : "to the end")}; the file has {file.Bytes} bytes.");
        }
    }
}
