using System.Security.Cryptography;
using System.Text;

namespace Contracts;

/// <summary>One file of a model that keeps its weights in others beside the .onnx file.</summary>
/// <param name="Name">As the model writes it: a plain file name. <see cref="Model"/> for the .onnx file itself.</param>
/// <param name="Sha256">Lower-case hex.</param>
public sealed record ModelFile(string Name, string Sha256, long Bytes)
{
    public const string Model = "model.onnx";

    const int LongestName = 200;
    const int HashLength = 64;

    /// <summary>A name that leads nowhere but to a file beside the model: no folders, no hidden files.</summary>
    public static bool IsName(string name) =>
        name.Length is > 0 and <= LongestName && name[0] != '.' && name != Model && !name.Any(c => c is '/' or '\\' or ':' || char.IsControl(c) || char.IsSurrogate(c));

    /// <summary>The names of a model's files: the .onnx file's first, then others, plain and different.</summary>
    public static bool AreNames(IReadOnlyList<string> names) =>
        names is [Model, ..] && names.Skip(1).All(IsName) && names.Distinct().Count() == names.Count;

    /// <summary>
    /// The version of a model of several files: sha256 of the UTF-8 lines <c>{sha256}  {name}</c>, the .onnx file's first under the name
    /// <c>model.onnx</c>, then the others' by name in ordinal order, each ended by a line feed. It is what sha256sum prints of them.
    /// </summary>
    /// <param name="model">sha256 of the .onnx file.</param>
    /// <param name="others">Name and sha256 of each other file. None: the version is <paramref name="model"/> itself.</param>
    public static string VersionOf(string model, IEnumerable<(string Name, string Sha256)> others)
    {
        var sorted = others.OrderBy(file => file.Name, StringComparer.Ordinal).ToList();
        if (sorted.Count == 0)
            return model;
        return Convert.ToHexStringLower(SHA256.HashData(ListOf(sorted.Prepend((Name: Model, Sha256: model)))));
    }

    /// <summary>The list that the version of a model of several files is the sha256 of.</summary>
    /// <param name="files">The .onnx file first, then the others by name in ordinal order.</param>
    public static byte[] ListOf(IEnumerable<ModelFile> files) => ListOf(files.Select(file => (file.Name, file.Sha256)));

    static byte[] ListOf(IEnumerable<(string Name, string Sha256)> files) =>
        Encoding.UTF8.GetBytes(string.Concat(files.Select(file => $"{file.Sha256}  {file.Name}\n")));

    /// <summary>Name and sha256 of each file of such a list, the .onnx file first.</summary>
    /// <exception cref="FormatException">It is no such list.</exception>
    public static IReadOnlyList<(string Name, string Sha256)> ReadList(string list)
    {
        var files = list.TrimEnd('\n').Split('\n').Select(line => line.Length > HashLength + 2 && line[HashLength..(HashLength + 2)] == "  " && line[..HashLength].All(char.IsAsciiHexDigitLower)
            ? (Name: line[(HashLength + 2)..], Sha256: line[..HashLength])
            : throw new FormatException("A line is not a sha256, two spaces and a name.")).ToList();
        return AreNames([.. files.Select(file => file.Name)])
            ? files
            : throw new FormatException($"The names are not {Model} and others, plain and different.");
    }
}
