namespace Sagas.Models;

/// <summary>A LoRA adapter of one version of a model: values for its overridable initializers.</summary>
public sealed class ModelAdapter
{
    public required string Tenant { get; set; }
    public required string Model { get; set; }

    /// <summary>sha256 of the base model's version.</summary>
    public required string Version { get; set; }

    public required string Name { get; set; }

    /// <summary>Of the <c>.onnx_adapter</c> file.</summary>
    public required string Sha256 { get; set; }

    public required string Uri { get; set; }
    public long Bytes { get; set; }
    public DateTimeOffset RegisteredAt { get; set; }

    /// <summary>Id of the caller.</summary>
    public required string RegisteredBy { get; set; }
}
