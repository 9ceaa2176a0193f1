using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Train;

/// <summary>What a person must know before using a model, and a program can check.</summary>
sealed record ModelCard(
    string Name,
    string Title,
    string Description,
    string Algorithm,
    string IntendedUse,
    string Limits,
    IReadOnlyList<CardColumn> Features,
    IReadOnlyList<CardColumn> Outputs,
    IReadOnlyList<string> Classes,
    string MissingValues,
    CardData Data,
    CardTraining Training,
    IReadOnlyDictionary<string, double> HeldOutMetrics,
    IReadOnlyList<CardTable> Tables,
    CardFile Onnx,
    IReadOnlyList<GoldenRow> GoldenRows)
{
    static readonly JsonSerializerOptions Json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        WriteIndented = true,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        NewLine = "\n",
    };

    internal byte[] ToJson() => Encoding.UTF8.GetBytes(JsonSerializer.Serialize(this, Json) + "\n");

    internal byte[] ToMarkdown()
    {
        var text = new StringBuilder();
        void Line(string line = "") => text.Append(line).Append('\n');
        void Table(IEnumerable<string> head, IEnumerable<IEnumerable<string>> rows)
        {
            var columns = head.ToArray();
            Line($"| {string.Join(" | ", columns)} |");
            Line($"|{string.Concat(columns.Select(_ => "---|"))}");
            foreach (var row in rows)
                Line($"| {string.Join(" | ", row)} |");
            Line();
        }

        Line($"# {Title}");
        Line();
        Line($"`{Name}`. {Description}");
        Line();
        Line($"- **Algorithm**: {Algorithm}");
        Line($"- **Meant for**: {IntendedUse}");
        Line($"- **Limits**: {Limits}");
        Line($"- **Missing values**: {MissingValues}");
        Line($"- **File**: `model.onnx`, {Onnx.Bytes.ToString("N0", CultureInfo.InvariantCulture)} bytes, opset {Onnx.Opset}, sha256 `{Onnx.Sha256}`");
        Line();
        Line("## Data");
        Line();
        Line($"{Data.Origin} Licence: {Data.Licence}.");
        Line();
        var validation = Training.ValidationRows == 0 ? "" : $", stopped by {Count(Training.ValidationRows)} validation rows";
        Line($"Trained on {Count(Training.Rows)} rows{validation}, measured on {Count(Training.HeldOutRows)} held-out rows that took no part in it. Seed {Training.Seed}. {Training.Parameters}");
        Line();
        Line("## Metrics on the held-out rows");
        Line();
        Table(["metric", "value"], HeldOutMetrics.Select(m => new[] { m.Key, Number(m.Value) }));
        foreach (var table in Tables)
        {
            Line($"## {table.Title}");
            Line();
            Table(table.Columns, table.Rows);
        }
        Line("## Features");
        Line();
        Line("One float input, a row of these, in this order:");
        Line();
        Table(["#", "feature", "meaning"], Features.Select((f, i) => new[] { $"{i}", $"`{f.Name}`", f.Meaning }));
        Line("## Outputs");
        Line();
        Table(["column", "meaning"], Outputs.Select(o => new[] { $"`{o.Name}`", o.Meaning }));
        Line("Expected values of some rows are in `model-card.json`, those of every sample row in `predictions.parquet`: both are the");
        Line("trainer's own arithmetic, not a runtime's.");
        return Encoding.UTF8.GetBytes(text.ToString());
    }

    static string Count(int rows) => rows.ToString("N0", CultureInfo.InvariantCulture);

    static string Number(double value) => value.ToString("0.####", CultureInfo.InvariantCulture);
}

sealed record CardColumn(string Name, string Meaning);

/// <param name="File">Of the sample rows, under samples/data.</param>
sealed record CardData(string Origin, string Licence, string File, string Key);

sealed record CardTraining(int Rows, int ValidationRows, int HeldOutRows, ulong Seed, string Parameters);

sealed record CardTable(string Title, IReadOnlyList<string> Columns, IReadOnlyList<IReadOnlyList<string>> Rows);

sealed record CardFile(string Sha256, int Bytes, int Opset, int IrVersion);

/// <summary>A sample row and what the trainer itself computes for it.</summary>
sealed record GoldenRow(string Key, IReadOnlyList<float?> Features, IReadOnlyDictionary<string, double> Expected);
