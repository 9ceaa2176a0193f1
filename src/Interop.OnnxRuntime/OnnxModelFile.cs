using System.Globalization;
using System.Text;

namespace Interop.OnnxRuntime;

/// <summary>Where a tensor's elements are that are not in the model itself.</summary>
/// <param name="Location">Path of the file, as the model writes it.</param>
/// <param name="Offset">In bytes; null where not said: from the beginning.</param>
/// <param name="Length">In bytes; null where not said: to the end.</param>
public readonly record struct OnnxExternalData(string Location, long? Offset, long? Length);

/// <summary>
/// What can be told of an .onnx file without ONNX Runtime: read from the protobuf bytes, which may be anything at all.
/// </summary>
public sealed class OnnxModelFile
{
    const int DeepestNesting = 64;

    readonly Dictionary<string, long> opsets = [];
    readonly HashSet<(string Domain, string Name)> operators = [];
    readonly HashSet<(string Domain, string Name)> functions = [];
    readonly HashSet<OnnxExternalData> externalData = [];
    readonly SortedSet<string> externalFiles = new(StringComparer.Ordinal);

    OnnxModelFile()
    {
    }

    /// <summary>Version of the file format.</summary>
    public long IrVersion { get; private set; }

    /// <summary>Name and version of the program that wrote the file.</summary>
    public string Producer { get; private set; } = "";

    /// <summary>Version of each operator set the file needs, by domain; the standard one is <c>ai.onnx</c>.</summary>
    public IReadOnlyDictionary<string, long> Opsets => opsets;

    /// <summary>Operators the file uses and does not define itself.</summary>
    public IEnumerable<(string Domain, string Name)> Operators => operators.Where(one => !functions.Contains(one));

    /// <summary>Files beside the model that hold its weights, as the model writes their paths.</summary>
    public IReadOnlyCollection<string> ExternalFiles => externalFiles;

    /// <summary>What the model takes out of those files.</summary>
    public IReadOnlyCollection<OnnxExternalData> ExternalData => externalData;

    /// <exception cref="InvalidDataException">The bytes are not an ONNX model.</exception>
    public static OnnxModelFile Parse(ReadOnlySpan<byte> bytes)
    {
        var file = new OnnxModelFile();
        var hasGraph = file.Model(bytes);
        if (!hasGraph)
            throw new InvalidDataException("there is no graph in it");
        if (file.opsets.Count == 0)
            throw new InvalidDataException("it names no operator set");
        return file;
    }

    bool Model(ReadOnlySpan<byte> bytes)
    {
        var hasGraph = false;
        string name = "", version = "";
        for (var reader = new Reader(bytes); reader.Next();)
        {
            switch (reader.Field)
            {
                case 1:
                    IrVersion = reader.Number;
                    break;
                case 2:
                    name = reader.Text();
                    break;
                case 3:
                    version = reader.Text();
                    break;
                case 7:
                    hasGraph = true;
                    Graph(reader.Content, 0);
                    break;
                case 8:
                    Opset(reader.Content);
                    break;
                case 25:
                    Function(reader.Content);
                    break;
            }
        }
        Producer = version.Length > 0 ? $"{name} {version}" : name;
        return hasGraph;
    }

    void Opset(ReadOnlySpan<byte> bytes)
    {
        var (domain, version) = ("", 0L);
        for (var reader = new Reader(bytes); reader.Next();)
        {
            if (reader.Field == 1)
                domain = reader.Text();
            else if (reader.Field == 2)
                version = reader.Number;
        }
        opsets[Domain(domain)] = version;
    }

    void Function(ReadOnlySpan<byte> bytes)
    {
        var (name, domain) = ("", "");
        for (var reader = new Reader(bytes); reader.Next();)
        {
            if (reader.Field == 1)
                name = reader.Text();
            else if (reader.Field == 10)
                domain = reader.Text();
            else if (reader.Field == 7)
                Node(reader.Content, 0);
        }
        functions.Add((Domain(domain), name));
    }

    void Graph(ReadOnlySpan<byte> bytes, int depth)
    {
        if (depth > DeepestNesting)
            throw new InvalidDataException($"its graphs are nested more than {DeepestNesting} deep");
        for (var reader = new Reader(bytes); reader.Next();)
        {
            if (reader.Field == 1)
                Node(reader.Content, depth);
            else if (reader.Field == 5)
                Tensor(reader.Content);
            else if (reader.Field == 15)
                SparseTensor(reader.Content);
        }
    }

    void Node(ReadOnlySpan<byte> bytes, int depth)
    {
        var (name, domain) = ("", "");
        for (var reader = new Reader(bytes); reader.Next();)
        {
            if (reader.Field == 4)
                name = reader.Text();
            else if (reader.Field == 7)
                domain = reader.Text();
            else if (reader.Field == 5)
                Attribute(reader.Content, depth);
        }
        operators.Add((Domain(domain), name));
    }

    void Attribute(ReadOnlySpan<byte> bytes, int depth)
    {
        for (var reader = new Reader(bytes); reader.Next();)
        {
            if (reader.Field is 5 or 10)
                Tensor(reader.Content);
            else if (reader.Field is 6 or 11)
                Graph(reader.Content, depth + 1);
            else if (reader.Field is 22 or 23)
                SparseTensor(reader.Content);
        }
    }

    void SparseTensor(ReadOnlySpan<byte> bytes)
    {
        for (var reader = new Reader(bytes); reader.Next();)
        {
            if (reader.Field is 1 or 2)
                Tensor(reader.Content);
        }
    }

    void Tensor(ReadOnlySpan<byte> bytes)
    {
        string? location = null;
        long? offset = null, length = null;
        for (var reader = new Reader(bytes); reader.Next();)
        {
            if (reader.Field != 13)
                continue;
            switch (Entry(reader.Content))
            {
                case ("location", var value):
                    location = value;
                    // A reader that takes the first of two must find it judged too.
                    externalFiles.Add(value);
                    externalData.Add(new OnnxExternalData(value, null, null));
                    break;
                case ("offset", var value):
                    offset = Number(value);
                    break;
                case ("length", var value):
                    length = Number(value);
                    break;
            }
        }
        if (location is not null)
            externalData.Add(new OnnxExternalData(location, offset, length));
    }

    static long Number(string text) => long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
        ? number
        : throw new InvalidDataException("it looks for weights at a place that is no number");

    static (string Key, string Value) Entry(ReadOnlySpan<byte> bytes)
    {
        var (key, value) = ("", "");
        for (var reader = new Reader(bytes); reader.Next();)
        {
            if (reader.Field == 1)
                key = reader.Text();
            else if (reader.Field == 2)
                value = reader.Text();
        }
        return (key, value);
    }

    static string Domain(string domain) => domain.Length == 0 ? "ai.onnx" : domain;

    /// <summary>One protobuf message, field by field.</summary>
    ref struct Reader(ReadOnlySpan<byte> bytes)
    {
        ReadOnlySpan<byte> rest = bytes;

        internal int Field { get; private set; }

        internal long Number { get; private set; }

        internal ReadOnlySpan<byte> Content { get; private set; }

        internal bool Next()
        {
            if (rest.IsEmpty)
                return false;
            var tag = Varint();
            Field = tag is > 0 and <= uint.MaxValue ? (int)(tag >> 3) : 0;
            if (Field == 0)
                throw NotProtobuf();
            Number = 0;
            Content = default;
            switch (tag & 7)
            {
                case 0:
                    Number = (long)Varint();
                    break;
                case 1:
                    Take(8);
                    break;
                case 2:
                    Content = Take(Varint());
                    break;
                case 5:
                    Take(4);
                    break;
                default:
                    throw NotProtobuf();
            }
            return true;
        }

        internal readonly string Text() => Encoding.UTF8.GetString(Content);

        ReadOnlySpan<byte> Take(ulong length)
        {
            if (length > (ulong)rest.Length)
                throw new InvalidDataException("it is cut short");
            var taken = rest[..(int)length];
            rest = rest[(int)length..];
            return taken;
        }

        ulong Varint()
        {
            var value = 0UL;
            for (var i = 0; i < 10; i++)
            {
                if (i == rest.Length)
                    throw new InvalidDataException("it is cut short");
                value |= (ulong)(rest[i] & 0x7F) << (7 * i);
                if (rest[i] >= 0x80)
                    continue;
                rest = rest[(i + 1)..];
                return value;
            }
            throw NotProtobuf();
        }

        static InvalidDataException NotProtobuf() => new("it is not written as ONNX files are");
    }
}
