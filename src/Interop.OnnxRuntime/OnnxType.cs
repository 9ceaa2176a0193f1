namespace Interop.OnnxRuntime;

/// <summary>ONNXType.</summary>
public enum OnnxKind
{
    Unknown = 0,
    Tensor = 1,
    Sequence = 2,
    Map = 3,
    Opaque = 4,
    SparseTensor = 5,
    Optional = 6,
}

/// <summary>The declared type of an input or output. <see cref="ToString"/> is ONNX's own spelling, e.g. <c>seq(map(int64,tensor(float)))</c>.</summary>
/// <param name="Kind">Which of the other members say something.</param>
/// <param name="Element">Of a tensor; of a map, its keys.</param>
/// <param name="Shape">Of a tensor; -1 where a dimension is symbolic or unknown; null where the model states no shape at all.</param>
/// <param name="Symbols">Name of each symbolic dimension, empty for the others; null where <paramref name="Shape"/> is.</param>
/// <param name="Inner">Of a sequence or optional, its content; of a map, its values.</param>
public sealed record OnnxType(
    OnnxKind Kind, OnnxElementType Element, IReadOnlyList<long>? Shape, IReadOnlyList<string>? Symbols, OnnxType? Inner)
{
    public override string ToString() => Kind switch
    {
        OnnxKind.Tensor => $"tensor({Element.Spelling()})",
        OnnxKind.SparseTensor => $"sparse_tensor({Element.Spelling()})",
        OnnxKind.Sequence => $"seq({Inner})",
        OnnxKind.Map => $"map({Element.Spelling()},{Inner})",
        OnnxKind.Optional => $"optional({Inner})",
        _ => Kind.ToString().ToLowerInvariant(),
    };

    internal static unsafe OnnxType Read(nint typeInfo)
    {
        int kind;
        NativeMethods.Check(NativeMethods.GetOnnxTypeFromTypeInfo(typeInfo, &kind));
        nint part, inner;
        int element;
        switch ((OnnxKind)kind)
        {
            case OnnxKind.Tensor or OnnxKind.SparseTensor:
                NativeMethods.Check(NativeMethods.CastTypeInfoToTensorInfo(typeInfo, &part));
                return ReadTensor((OnnxKind)kind, part);
            case OnnxKind.Sequence:
                NativeMethods.Check(NativeMethods.CastTypeInfoToSequenceTypeInfo(typeInfo, &part));
                NativeMethods.Check(NativeMethods.GetSequenceElementType(part, &inner));
                return new OnnxType(OnnxKind.Sequence, OnnxElementType.Undefined, null, null, Take(inner));
            case OnnxKind.Map:
                NativeMethods.Check(NativeMethods.CastTypeInfoToMapTypeInfo(typeInfo, &part));
                NativeMethods.Check(NativeMethods.GetMapKeyType(part, &element));
                NativeMethods.Check(NativeMethods.GetMapValueType(part, &inner));
                return new OnnxType(OnnxKind.Map, (OnnxElementType)element, null, null, Take(inner));
            case OnnxKind.Optional:
                NativeMethods.Check(NativeMethods.CastTypeInfoToOptionalTypeInfo(typeInfo, &part));
                NativeMethods.Check(NativeMethods.GetOptionalContainedTypeInfo(part, &inner));
                return new OnnxType(OnnxKind.Optional, OnnxElementType.Undefined, null, null, Take(inner));
            default:
                return new OnnxType((OnnxKind)kind, OnnxElementType.Undefined, null, null, null);
        }
    }

    static OnnxType Take(nint typeInfo)
    {
        using var owned = new TypeInfoHandle(typeInfo);
        return Read(typeInfo);
    }

    static unsafe OnnxType ReadTensor(OnnxKind kind, nint tensor)
    {
        int element;
        NativeMethods.Check(NativeMethods.GetTensorElementType(tensor, &element));
        if (NativeMethods.TensorTypeAndShape_HasShape(tensor) == 0)
            return new OnnxType(kind, (OnnxElementType)element, null, null, null);
        nuint rank;
        NativeMethods.Check(NativeMethods.GetDimensionsCount(tensor, &rank));
        var shape = new long[(int)rank];
        var names = new nint[(int)rank];
        fixed (long* dimensions = shape)
            NativeMethods.Check(NativeMethods.GetDimensions(tensor, dimensions, rank));
        fixed (nint* pointers = names)
            NativeMethods.Check(NativeMethods.GetSymbolicDimensions(tensor, (byte**)pointers, rank));
        return new OnnxType(kind, (OnnxElementType)element, shape, [.. names.Select(name => NativeMethods.Text((byte*)name))], null);
    }
}

/// <summary>One named input, output or overridable initializer of a model.</summary>
public sealed record OnnxPort(string Name, OnnxType Type);
