namespace Sagas.Models;

/// <summary>One version of a model of one tenant. <c>latest</c> is the version registered last.</summary>
public sealed class RegisteredModel
{
    public required string Tenant { get; set; }
    public required string Name { get; set; }

    /// <summary>Lower-case hex: sha256 of the file, or of the list of its files where weights lie in others (see <see cref="Contracts.ModelFile"/>).</summary>
    public required string Version { get; set; }

    public required string Uri { get; set; }

    /// <summary>Of all its files.</summary>
    public long Bytes { get; set; }

    public string? Description { get; set; }

    /// <summary>JSON of <see cref="Contracts.ModelSignature"/>.</summary>
    public required string Signature { get; set; }

    /// <summary>Of one worker slot: from the dry run, then from committed shards.</summary>
    public double RowsPerSecond { get; set; }

    public DateTimeOffset RegisteredAt { get; set; }

    /// <summary>JSON object of texts, for people and programs to find versions by.</summary>
    public string Labels { get; set; } = "{}";

    /// <summary>Markdown: what the model is for, and what it is not.</summary>
    public string? Card { get; set; }

    /// <summary>Most memory that opening it took, above the process without it.</summary>
    public long PeakLoadBytes { get; set; }

    /// <summary>Most memory while a micro-batch was scored, the opened model included.</summary>
    public long PeakBatchBytes { get; set; }

    /// <summary>JSON list of <see cref="Contracts.ModelFile"/>; null where the .onnx file is all there is.</summary>
    public string? Files { get; set; }

    /// <summary>JSON of <see cref="Contracts.ModelGolden"/>; null where it is not known.</summary>
    public string? Golden { get; set; }
}
