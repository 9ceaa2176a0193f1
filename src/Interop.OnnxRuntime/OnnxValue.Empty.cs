namespace Interop.OnnxRuntime;

// The C API can pass on an optional without content and a sequence without items, but cannot make one: it makes them when it
// runs a model of one node, so that is what is done here.
public sealed partial class OnnxValue
{
    const int AttributeInt = 2;
    const int AttributeType = 13;

    /// <summary>A sequence of no tensors of that type.</summary>
    public static OnnxValue EmptySequence(OnnxEnvironment environment, OnnxElementType type)
    {
        var sequence = new OnnxType(OnnxKind.Sequence, OnnxElementType.Undefined, null, null, Tensor(type));
        return RunNode(environment, "SequenceEmpty", Attribute("dtype", AttributeInt).Add(3, (long)type), sequence);
    }

    /// <summary>An optional without content.</summary>
    /// <param name="content">What it would hold: a tensor or a sequence.</param>
    public static OnnxValue None(OnnxEnvironment environment, OnnxType content)
    {
        var optional = new OnnxType(OnnxKind.Optional, OnnxElementType.Undefined, null, null, content);
        return RunNode(environment, "Optional", Attribute("type", AttributeType).Add(14, TypeProto(content)), optional);
    }

    static OnnxType Tensor(OnnxElementType type) => new(OnnxKind.Tensor, type, null, null, null);

    static OnnxValue RunNode(OnnxEnvironment environment, string operation, ProtoWriter attribute, OnnxType output)
    {
        var node = new ProtoWriter().Add(2, "y").Add(4, operation).Add(5, attribute);
        var graph = new ProtoWriter().Add(1, node).Add(2, "empty").Add(12, new ProtoWriter().Add(1, "y").Add(2, TypeProto(output)));
        var model = new ProtoWriter().Add(1, 8).Add(7, graph).Add(8, new ProtoWriter().Add(2, 17));
        using var session = OnnxSession.FromBytes(environment, model.ToArray(), new OnnxSessionOptions { IntraOpThreads = 1 });
        return session.Run([])[0];
    }

    static ProtoWriter Attribute(string name, int kind) => new ProtoWriter().Add(1, name).Add(20, kind);

    static ProtoWriter TypeProto(OnnxType type) => type.Kind switch
    {
        OnnxKind.Tensor => new ProtoWriter().Add(1, new ProtoWriter().Add(1, (long)type.Element)),
        OnnxKind.Sequence => new ProtoWriter().Add(4, new ProtoWriter().Add(1, TypeProto(type.Inner!))),
        OnnxKind.Map => new ProtoWriter().Add(5, new ProtoWriter().Add(1, (long)type.Element).Add(2, TypeProto(type.Inner!))),
        OnnxKind.Optional => new ProtoWriter().Add(9, new ProtoWriter().Add(1, TypeProto(type.Inner!))),
        _ => throw new NotSupportedException($"{type} cannot be the content of an optional."),
    };
}
