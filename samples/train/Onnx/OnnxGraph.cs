using System.Runtime.InteropServices;
using System.Text.Json;
using Google.Protobuf;

namespace Train.Onnx;

enum ElementType
{
    Float = 1,
    Int64 = 7,
}

/// <summary>Builds a model of one [batch, F] input, node by node, in the order in which they run.</summary>
sealed class OnnxGraph
{
    const string Batch = "batch";
    const string TreeDomain = "ai.onnx.ml";
    static readonly JsonSerializerOptions Plain = new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    readonly GraphProto graph;
    readonly ModelProto model;

    internal OnnxGraph(string name)
    {
        graph = new GraphProto { Name = name };
        model = new ModelProto { IrVersion = 10, ProducerName = "sagas-samples", ProducerVersion = "1", Graph = graph };
        model.OpsetImport.Add(new OperatorSetIdProto { Domain = "", Version = 21 });
    }

    internal string Input(string name, int features)
    {
        graph.Input.Add(Value(name, ElementType.Float, features));
        return name;
    }

    /// <summary>One value a row without <paramref name="width"/>, else that many.</summary>
    internal void Output(string name, ElementType type, int? width = null) => graph.Output.Add(Value(name, type, width));

    internal void Metadata(string key, string value) => model.MetadataProps.Add(new StringStringEntryProto { Key = key, Value = value });

    internal void Metadata(string key, IReadOnlyList<string> values) => Metadata(key, JsonSerializer.Serialize(values, Plain));

    internal string Constant(string name, ReadOnlySpan<float> values, params long[] dims) =>
        Constant(name, ElementType.Float, MemoryMarshal.AsBytes(values), dims);

    internal string Constant(string name, ReadOnlySpan<long> values, params long[] dims) =>
        Constant(name, ElementType.Int64, MemoryMarshal.AsBytes(values), dims);

    internal string Add(string type, string output, ReadOnlySpan<string> inputs, params AttributeProto[] attributes)
    {
        var node = new NodeProto { Name = output, OpType = type };
        if (type.StartsWith("TreeEnsemble", StringComparison.Ordinal))
        {
            node.Domain = TreeDomain;
            if (model.OpsetImport.All(o => o.Domain != TreeDomain))
                model.OpsetImport.Add(new OperatorSetIdProto { Domain = TreeDomain, Version = 3 });
        }
        node.Input.AddRange(inputs.ToArray());
        node.Output.Add(output);
        node.Attribute.AddRange(attributes);
        graph.Node.Add(node);
        return output;
    }

    internal byte[] ToBytes() => model.ToByteArray();

    internal static AttributeProto Attribute(string name, long value) => new() { Name = name, I = value, Type = AttributeProto.Types.Kind.Int };

    internal static AttributeProto Attribute(string name, string value) =>
        new() { Name = name, S = ByteString.CopyFromUtf8(value), Type = AttributeProto.Types.Kind.String };

    internal static AttributeProto Attribute(string name, IEnumerable<float> values)
    {
        var attribute = new AttributeProto { Name = name, Type = AttributeProto.Types.Kind.Floats };
        attribute.Floats.AddRange(values);
        return attribute;
    }

    internal static AttributeProto Attribute(string name, IEnumerable<long> values)
    {
        var attribute = new AttributeProto { Name = name, Type = AttributeProto.Types.Kind.Ints };
        attribute.Ints.AddRange(values);
        return attribute;
    }

    internal static AttributeProto Attribute(string name, IEnumerable<string> values)
    {
        var attribute = new AttributeProto { Name = name, Type = AttributeProto.Types.Kind.Strings };
        attribute.Strings.AddRange(values.Select(ByteString.CopyFromUtf8));
        return attribute;
    }

    string Constant(string name, ElementType type, ReadOnlySpan<byte> bytes, long[] dims)
    {
        var tensor = new TensorProto { Name = name, DataType = (int)type, RawData = ByteString.CopyFrom(bytes) };
        tensor.Dims.AddRange(dims);
        graph.Initializer.Add(tensor);
        return name;
    }

    static ValueInfoProto Value(string name, ElementType type, int? width)
    {
        var shape = new TensorShapeProto();
        shape.Dim.Add(new TensorShapeProto.Types.Dimension { DimParam = Batch });
        if (width is { } columns)
            shape.Dim.Add(new TensorShapeProto.Types.Dimension { DimValue = columns });
        return new ValueInfoProto
        {
            Name = name,
            Type = new TypeProto { TensorType = new TypeProto.Types.Tensor { ElemType = (int)type, Shape = shape } },
        };
    }
}
