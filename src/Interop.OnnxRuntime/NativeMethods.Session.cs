namespace Interop.OnnxRuntime;

static unsafe partial class NativeMethods
{
    internal static nint CreateSession(nint env, byte* path, nint options, nint* session) =>
        ((delegate* unmanaged<nint, byte*, nint, nint*, nint>)table[7])(env, path, options, session);

    internal static nint CreateSessionFromArray(nint env, void* model, nuint length, nint options, nint* session) =>
        ((delegate* unmanaged<nint, void*, nuint, nint, nint*, nint>)table[8])(env, model, length, options, session);

    internal static nint Run(
        nint session, nint runOptions, byte** inputNames, nint* inputs, nuint inputCount, byte** outputNames, nuint outputCount, nint* outputs) =>
        ((delegate* unmanaged<nint, nint, byte**, nint*, nuint, byte**, nuint, nint*, nint>)table[9])(
            session, runOptions, inputNames, inputs, inputCount, outputNames, outputCount, outputs);

    internal static nint SessionGetInputCount(nint session, nuint* count) => ((delegate* unmanaged<nint, nuint*, nint>)table[30])(session, count);

    internal static nint SessionGetOutputCount(nint session, nuint* count) => ((delegate* unmanaged<nint, nuint*, nint>)table[31])(session, count);

    internal static nint SessionGetOverridableInitializerCount(nint session, nuint* count) =>
        ((delegate* unmanaged<nint, nuint*, nint>)table[32])(session, count);

    internal static nint SessionGetInputTypeInfo(nint session, nuint index, nint* type) =>
        ((delegate* unmanaged<nint, nuint, nint*, nint>)table[33])(session, index, type);

    internal static nint SessionGetOutputTypeInfo(nint session, nuint index, nint* type) =>
        ((delegate* unmanaged<nint, nuint, nint*, nint>)table[34])(session, index, type);

    internal static nint SessionGetOverridableInitializerTypeInfo(nint session, nuint index, nint* type) =>
        ((delegate* unmanaged<nint, nuint, nint*, nint>)table[35])(session, index, type);

    internal static nint SessionGetInputName(nint session, nuint index, nint allocator, byte** name) =>
        ((delegate* unmanaged<nint, nuint, nint, byte**, nint>)table[36])(session, index, allocator, name);

    internal static nint SessionGetOutputName(nint session, nuint index, nint allocator, byte** name) =>
        ((delegate* unmanaged<nint, nuint, nint, byte**, nint>)table[37])(session, index, allocator, name);

    internal static nint SessionGetOverridableInitializerName(nint session, nuint index, nint allocator, byte** name) =>
        ((delegate* unmanaged<nint, nuint, nint, byte**, nint>)table[38])(session, index, allocator, name);

    internal static nint SessionGetModelMetadata(nint session, nint* metadata) =>
        ((delegate* unmanaged<nint, nint*, nint>)table[111])(session, metadata);

    internal static nint ModelMetadataGetProducerName(nint metadata, nint allocator, byte** text) =>
        ((delegate* unmanaged<nint, nint, byte**, nint>)table[112])(metadata, allocator, text);

    internal static nint ModelMetadataGetGraphName(nint metadata, nint allocator, byte** text) =>
        ((delegate* unmanaged<nint, nint, byte**, nint>)table[113])(metadata, allocator, text);

    internal static nint ModelMetadataGetDomain(nint metadata, nint allocator, byte** text) =>
        ((delegate* unmanaged<nint, nint, byte**, nint>)table[114])(metadata, allocator, text);

    internal static nint ModelMetadataGetDescription(nint metadata, nint allocator, byte** text) =>
        ((delegate* unmanaged<nint, nint, byte**, nint>)table[115])(metadata, allocator, text);

    internal static nint ModelMetadataLookupCustomMetadataMap(nint metadata, nint allocator, byte* key, byte** value) =>
        ((delegate* unmanaged<nint, nint, byte*, byte**, nint>)table[116])(metadata, allocator, key, value);

    internal static nint ModelMetadataGetVersion(nint metadata, long* version) =>
        ((delegate* unmanaged<nint, long*, nint>)table[117])(metadata, version);

    internal static nint ModelMetadataGetCustomMetadataMapKeys(nint metadata, nint allocator, byte*** keys, long* count) =>
        ((delegate* unmanaged<nint, nint, byte***, long*, nint>)table[123])(metadata, allocator, keys, count);
}
