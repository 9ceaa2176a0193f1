using System.Globalization;
using System.Security.Cryptography;

namespace Train;

/// <summary>A finished model: its file, its card, and its own answer to every sample row.</summary>
sealed record TrainedModel(byte[] Onnx, ModelCard Card, Predictions Predictions)
{
    internal static CardFile Describe(byte[] onnx) => new(Convert.ToHexStringLower(SHA256.HashData(onnx)), onnx.Length, 21, 10);
}

/// <param name="Columns">DuckDB's name of each column's type; the first column is the key.</param>
sealed record Predictions(IReadOnlyList<(string Name, string Type)> Columns, IReadOnlyList<IReadOnlyList<string>> Rows)
{
    internal static string Text(float value) => value.ToString("R", CultureInfo.InvariantCulture);
}
