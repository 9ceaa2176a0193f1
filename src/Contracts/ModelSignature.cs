namespace Contracts;

/// <summary>One fixed version of a model.</summary>
/// <param name="Name">As registered: <c>credit-risk-model</c>.</param>
/// <param name="Sha256">64 lower-case hex digits: the version. Of the .onnx file where that is all; else see <see cref="ModelFile.VersionOf"/>.</param>
/// <param name="Uri">Where the .onnx file lies; content-addressed, never changes. The others lie beside it.</param>
/// <param name="Files">Every file of the model, the .onnx file first; null where that is all.</param>
/// <param name="MemoryBytes">Most that it took when it was opened and run at registration; 0 where nobody measured.</param>
/// <param name="Golden">What it gave when it was registered; null where that is not known.</param>
public sealed record ModelRef(string Name, string Sha256, string Uri, IReadOnlyList<ModelFile>? Files = null, long MemoryBytes = 0, ModelGolden? Golden = null);

/// <summary>LoRA weights to use in place of a model's own.</summary>
/// <param name="Uri">Where the .onnx_adapter file lies; it never changes.</param>
/// <param name="Sha256">Of the file, 64 lower-case hex digits; null where nobody says, which only a file of the worker's own machine may do.</param>
public sealed record AdapterRef(string Uri, string? Sha256);

/// <summary>What a model gave for made-up rows when it was registered. Who opens it compares.</summary>
/// <param name="IsConstant">The rows were all zero: the model took no others.</param>
/// <param name="Values">The first numbers of its outputs.</param>
public sealed record ModelGolden(bool IsConstant, IReadOnlyList<double> Values);

/// <summary>What a model takes and gives, read from the file itself and completed by a dry run at registration.</summary>
/// <param name="Inputs">In the file's order, without initializers.</param>
/// <param name="Outputs">In the file's order.</param>
/// <param name="Columns">What a scored row gets, in order; names are unique.</param>
/// <param name="Features">
/// From the metadata key <c>features</c> (a JSON array of column names), in the order of the [N, F] input; null when the
/// model has one input per column, or does not say.
/// </param>
/// <param name="AllowMissing">Metadata <c>missing</c> = <c>nan</c>: a NULL feature is fed as NaN. Otherwise such a row is quarantined.</param>
/// <param name="AllowNaN">Metadata <c>nan</c> = <c>forbid</c> makes it false: rows with a NaN feature are quarantined.</param>
/// <param name="Metadata">All custom metadata of the file, as it stands.</param>
/// <param name="NotTabular">Why rows of a table cannot be fed to it, or its outputs not be columns; null when they can. Such a model takes tensors.</param>
/// <param name="NotTried">
/// Of a model that takes tensors of open sizes: what went wrong with every made-up input, so that no run of it was seen; null when one was.
/// </param>
public sealed record ModelSignature(
    IReadOnlyList<ModelTensor> Inputs,
    IReadOnlyList<ModelTensor> Outputs,
    IReadOnlyList<OutputColumn> Columns,
    IReadOnlyList<string>? Features,
    bool AllowMissing,
    bool AllowNaN,
    IReadOnlyDictionary<string, string> Metadata,
    string Producer,
    Failure? NotTabular = null,
    string? NotTried = null);

/// <param name="Name">Any text; may contain colons and slashes.</param>
/// <param name="Type">
/// ONNX's own spelling: <c>tensor(float)</c>, <c>tensor(int64)</c>, <c>tensor(string)</c>, <c>seq(map(int64,tensor(float)))</c>.
/// </param>
/// <param name="Shape">Null where not a tensor or not stated; -1 for a dimension that is symbolic, unknown or declared 0.</param>
/// <param name="Optional">Has a default in the file or the type is optional: need not be fed.</param>
public sealed record ModelTensor(string Name, string Type, IReadOnlyList<long>? Shape, bool Optional = false);

/// <summary>One column of a scored row.</summary>
/// <param name="Name">The output's name, or <c>{output}_{index or class}</c> where an output has several values a row.</param>
/// <param name="Type">
/// DuckDB's name: FLOAT, DOUBLE, BIGINT, INTEGER, SMALLINT, TINYINT, UBIGINT, UINTEGER, USMALLINT, UTINYINT, BOOLEAN, VARCHAR.
/// </param>
/// <param name="Output">Index in <see cref="ModelSignature.Outputs"/>.</param>
/// <param name="Index">Position within the row's values of that output.</param>
/// <param name="Key">The map key, for a sequence of maps (ZipMap); null otherwise.</param>
public sealed record OutputColumn(string Name, string Type, int Output, int Index, string? Key = null);

/// <summary>Asks a worker to open a model in isolation from everything else. Answered by one of the two below.</summary>
/// <param name="Sha256">The version.</param>
/// <param name="Files">Every file of the model, the .onnx file first, beside each other; null where that is all.</param>
public sealed record InspectModel(string Uri, string Sha256, IReadOnlyList<ModelFile>? Files = null);

/// <param name="RowsPerSecond">Of one worker slot, measured by a dry run on generated rows; 0 for a model that takes no rows.</param>
/// <param name="PeakLoadBytes">Most memory that opening the model took, above the process without it.</param>
/// <param name="PeakBatchBytes">Most memory while a micro-batch of 256 rows was scored, the opened model included; for a model that takes no rows, its dry run.</param>
/// <param name="Golden">What it gave for made-up rows; null for a model that takes no rows, or gives no numbers.</param>
public sealed record ModelInspected(string Sha256, ModelSignature Signature, double RowsPerSecond, long PeakLoadBytes = 0, long PeakBatchBytes = 0, ModelGolden? Golden = null);

public sealed record ModelRefused(string Sha256, Failure Failure);

/// <summary>Asks a worker to open a LoRA adapter over its base model and run both. Answered by <see cref="AdapterInspected"/> or <see cref="ModelRefused"/>.</summary>
/// <param name="Sha256">Of the adapter's file.</param>
/// <param name="Base">The version of the model that it is for.</param>
public sealed record InspectAdapter(string Uri, string Sha256, ModelRef Base);

public sealed record AdapterInspected(string Sha256);
