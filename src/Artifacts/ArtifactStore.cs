using System.Collections.Concurrent;
using Contracts;

namespace Artifacts;

/// <summary>Who may be behind a URI.</summary>
public enum ArtifactAccess
{
    /// <summary>What users bring: the input roots.</summary>
    Input,

    /// <summary>What we write: the output roots.</summary>
    Output,

    /// <summary>Registered models: the models root.</summary>
    Model,

    /// <summary>What a worker reads: any of them.</summary>
    Read,
}

/// <summary>A file as it was when somebody looked.</summary>
/// <param name="Path">With all links followed. Empty for one that must be fetched first, see <see cref="ArtifactStore.FetchAsync(PinnedFile, CancellationToken)"/>.</param>
/// <param name="Source">As the user knows it: relative to the folder given, with slashes.</param>
/// <param name="ModifiedTicks">UTC.</param>
/// <param name="ETag">Of a blob or a file on another host; null for files here.</param>
public sealed record PinnedFile(string Uri, string Path, string Source, long Length, long ModifiedTicks, string? ETag = null);

/// <summary>
/// The only way from a URI to a file or blob. Every path it gives lies within the roots, links followed. The store itself is for the platform's
/// own work and gives any tenant's files; for what a tenant asks, see <see cref="For"/>.
/// </summary>
public sealed partial class ArtifactStore : IDisposable
{
    readonly ArtifactPlaces places;
    readonly RemoteStores remotes;
    readonly ConcurrentDictionary<string, ArtifactStore> views;
    readonly string? tenant;

    /// <param name="time">Default: the system's.</param>
    public ArtifactStore(ArtifactOptions options, TimeProvider? time = null)
        : this(options, new ArtifactPlaces(options), new RemoteStores(options, time ?? TimeProvider.System), [], null)
    {
    }

    ArtifactStore(ArtifactOptions options, ArtifactPlaces places, RemoteStores remotes, ConcurrentDictionary<string, ArtifactStore> views, string? tenant) =>
        (Options, this.places, this.remotes, this.views, this.tenant) = (options, places, remotes, views, tenant);

    public ArtifactOptions Options { get; }

    /// <summary>The same store for one tenant: what is not its own does not exist.</summary>
    /// <exception cref="ArgumentException">No tenant can be called so.</exception>
    public ArtifactStore For(string tenant) => TenantName.IsValid(tenant)
        ? views.GetOrAdd(tenant, name => new ArtifactStore(Options, places, remotes, views, name))
        : throw new ArgumentException($"A tenant's name is {TenantName.Rule}.", nameof(tenant));

    /// <summary>Name of a tenant's own folder, in each output root and in the models root.</summary>
    public static string FolderOf(string tenant) => $"@{tenant}";

    /// <summary>Whether the URI is an output root itself, where each tenant has a folder.</summary>
    public bool IsOutputRoot(string uri)
    {
        try
        {
            return places.IsOutputRoot(LocalPath(uri, ArtifactAccess.Output));
        }
        catch (FailureException)
        {
            return false;
        }
    }

    /// <summary>The real path of a URI without a glob; it need not exist.</summary>
    /// <param name="field">What the caller called it; failures name it.</param>
    public string LocalPath(string uri, ArtifactAccess access, string field = "uri")
    {
        var names = FileUri.RawSegments(uri, field).Select(s => FileUri.Decode(s, field));
        return Allowed('/' + string.Join('/', names), access, field);
    }

    /// <summary>An existing, regular file that can be read.</summary>
    public PinnedFile Pin(string uri, ArtifactAccess access, string field = "uri")
    {
        var path = LocalPath(uri, access, field);
        return Pin(path, Path.GetFileName(path), field);
    }

    /// <summary>Whether the file is still the one that was planned.</summary>
    public static bool IsUnchanged(string path, long length, long modifiedTicks)
    {
        var file = new FileInfo(path);
        return file.Exists && file.Length == length && file.LastWriteTimeUtc.Ticks == modifiedTicks;
    }

    public void Dispose() => remotes.Dispose();

    internal string Allowed(string path, ArtifactAccess access, string field) => TryAllow(path, access) ??
        // Where a link leads to is not said: it would tell what lies outside.
        throw FileUri.Refuse("path_outside_roots", field, $"{path} is not within the folders allowed for this; {Advice(access)}.");

    /// <returns>The real path; null when it is not allowed.</returns>
    string? TryAllow(string path, ArtifactAccess access) =>
        RealPath.Of(path) is { } real && (tenant is null ? places.Allows(access, real) : places.Allows(tenant, access, real)) ? real : null;

    internal static PinnedFile Pin(string path, string source, string field)
    {
        var file = new FileInfo(path);
        if (Directory.Exists(path))
            throw FileUri.Refuse("input_unreadable", field, $"{source} is a folder; a file is needed.");
        if (!file.Exists)
            throw FileUri.Refuse("input_missing", field, $"{source} does not exist; check the path.");
        if (!Posix.IsRegularFile(path))
            throw FileUri.Refuse("input_unreadable", field, $"{source} is not a regular file; devices, pipes and sockets are not read.");
        if (file.Length == 0)
            throw FileUri.Refuse("input_empty", field, $"{source} is empty.");
        try
        {
            using var open = File.OpenHandle(path);
        }
        catch (Exception e) when (e is UnauthorizedAccessException or IOException)
        {
            throw FileUri.Refuse("input_unreadable", field, $"{source} cannot be opened; give this platform's user the right to read it.");
        }
        return new PinnedFile(FileUri.FromPath(path), path, source, file.Length, file.LastWriteTimeUtc.Ticks);
    }

    // Nothing but the tenant's own: that there are others is not said.
    string Advice(ArtifactAccess access) => tenant is null || tenant == Options.HomeTenant
        ? $"ask the operator which are ({ArtifactOptions.Section}:{Setting(access)})"
        : access switch
        {
            ArtifactAccess.Output when places.OutputsOf(tenant).ToList() is { Count: > 0 } own => $"give {string.Join(" or ", own)}, or a folder below it",
            ArtifactAccess.Input => $"ask the operator which are ({ArtifactOptions.Section}:{nameof(ArtifactOptions.Tenants)}:{tenant}:{Setting(access)})",
            _ => "ask the operator which are",
        };

    static string Setting(ArtifactAccess access) => access switch
    {
        ArtifactAccess.Output => nameof(ArtifactOptions.OutputRoots),
        ArtifactAccess.Model => nameof(ArtifactOptions.ModelsRoot),
        _ => nameof(ArtifactOptions.InputRoots),
    };
}
