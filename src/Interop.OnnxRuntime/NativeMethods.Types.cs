namespace Interop.OnnxRuntime;

// What the Cast functions return belongs to the type info they were given; what the Get...Type functions return is ours.
static unsafe partial class NativeMethods
{
    internal static nint CastTypeInfoToTensorInfo(nint type, nint* tensor) => ((delegate* unmanaged<nint, nint*, nint>)table[55])(type, tensor);

    internal static nint GetOnnxTypeFromTypeInfo(nint type, int* kind) => ((delegate* unmanaged<nint, int*, nint>)table[56])(type, kind);

    internal static nint GetTensorElementType(nint tensor, int* type) => ((delegate* unmanaged<nint, int*, nint>)table[60])(tensor, type);

    internal static nint GetDimensionsCount(nint tensor, nuint* rank) => ((delegate* unmanaged<nint, nuint*, nint>)table[61])(tensor, rank);

    internal static nint GetDimensions(nint tensor, long* shape, nuint rank) =>
        ((delegate* unmanaged<nint, long*, nuint, nint>)table[62])(tensor, shape, rank);

    internal static nint GetSymbolicDimensions(nint tensor, byte** names, nuint rank) =>
        ((delegate* unmanaged<nint, byte**, nuint, nint>)table[63])(tensor, names, rank);

    internal static nint GetTensorShapeElementCount(nint tensor, nuint* count) =>
        ((delegate* unmanaged<nint, nuint*, nint>)table[64])(tensor, count);

    internal static nint CastTypeInfoToMapTypeInfo(nint type, nint* map) => ((delegate* unmanaged<nint, nint*, nint>)table[103])(type, map);

    internal static nint CastTypeInfoToSequenceTypeInfo(nint type, nint* sequence) =>
        ((delegate* unmanaged<nint, nint*, nint>)table[104])(type, sequence);

    internal static nint GetMapKeyType(nint map, int* type) => ((delegate* unmanaged<nint, int*, nint>)table[105])(map, type);

    internal static nint GetMapValueType(nint map, nint* type) => ((delegate* unmanaged<nint, nint*, nint>)table[106])(map, type);

    internal static nint GetSequenceElementType(nint sequence, nint* type) => ((delegate* unmanaged<nint, nint*, nint>)table[107])(sequence, type);

    internal static nint CastTypeInfoToOptionalTypeInfo(nint type, nint* optional) =>
        ((delegate* unmanaged<nint, nint*, nint>)table[250])(type, optional);

    internal static nint GetOptionalContainedTypeInfo(nint optional, nint* type) =>
        ((delegate* unmanaged<nint, nint*, nint>)table[251])(optional, type);

    internal static byte TensorTypeAndShape_HasShape(nint tensor) => ((delegate* unmanaged<nint, byte>)table[390])(tensor);
}
