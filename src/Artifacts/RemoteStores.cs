using Artifacts.Blobs;
using Artifacts.Caching;
using Artifacts.Web;

namespace Artifacts;

/// <summary>What the views of one store share of the world outside.</summary>
sealed class RemoteStores : IDisposable
{
    public RemoteStores(ArtifactOptions options, TimeProvider time)
    {
        Places = new BlobPlaces(options.Blob, options.HomeTenant, options.ModelsRoot);
        Blobs = new BlobFiles(Places);
        Web = new WebFiles(options.Http);
        Cache = options.HasRemotes ? new ArtifactCache(options.CacheFolder, options.CacheBytes, time) : null;
    }

    public BlobPlaces Places { get; }

    public BlobFiles Blobs { get; }

    public WebFiles Web { get; }

    /// <summary>Null where nothing is fetched.</summary>
    public ArtifactCache? Cache { get; }

    public void Dispose()
    {
        Web.Dispose();
        Cache?.Dispose();
    }
}
