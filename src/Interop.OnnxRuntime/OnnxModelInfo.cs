namespace Interop.OnnxRuntime;

/// <summary>What a model file says about itself.</summary>
/// <param name="Metadata">The custom key-value pairs.</param>
public sealed record OnnxModelInfo(
    string Producer, string Graph, string Domain, string Description, long Version, IReadOnlyDictionary<string, string> Metadata)
{
    internal static unsafe OnnxModelInfo Read(nint session)
    {
        nint metadata;
        NativeMethods.Check(NativeMethods.SessionGetModelMetadata(session, &metadata));
        using var owned = new MetadataHandle(metadata);
        byte* producer, graph, domain, description;
        long version;
        NativeMethods.Check(NativeMethods.ModelMetadataGetProducerName(metadata, Defaults.Allocator, &producer));
        NativeMethods.Check(NativeMethods.ModelMetadataGetGraphName(metadata, Defaults.Allocator, &graph));
        NativeMethods.Check(NativeMethods.ModelMetadataGetDomain(metadata, Defaults.Allocator, &domain));
        NativeMethods.Check(NativeMethods.ModelMetadataGetDescription(metadata, Defaults.Allocator, &description));
        NativeMethods.Check(NativeMethods.ModelMetadataGetVersion(metadata, &version));
        return new OnnxModelInfo(
            NativeMethods.TakeText(producer), NativeMethods.TakeText(graph), NativeMethods.TakeText(domain),
            NativeMethods.TakeText(description), version, ReadCustom(metadata));
    }

    static unsafe Dictionary<string, string> ReadCustom(nint metadata)
    {
        byte** keys;
        long count;
        NativeMethods.Check(NativeMethods.ModelMetadataGetCustomMetadataMapKeys(metadata, Defaults.Allocator, &keys, &count));
        var result = new Dictionary<string, string>();
        for (var i = 0; i < count; i++)
        {
            byte* value;
            NativeMethods.Check(NativeMethods.ModelMetadataLookupCustomMetadataMap(metadata, Defaults.Allocator, keys[i], &value));
            result[NativeMethods.TakeText(keys[i])] = value == null ? "" : NativeMethods.TakeText(value);
        }
        if (keys != null)
            NativeMethods.Check(NativeMethods.AllocatorFree(Defaults.Allocator, keys));
        return result;
    }
}
