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
/// <param name="Path">With all links followed.</param>
/// <param name="Source">As the user knows it: relative to the folder given, with slashes.</param>
/// <param name="ModifiedTicks">UTC.</param>
public sealed record PinnedFile(string Uri, string Path, string Source, long Length, long ModifiedTicks);

/// <summary>The only way from a URI to a file. Every path it gives lies within the roots, links followed.</summary>
public sealed partial class ArtifactStore(ArtifactOptions options)
{
    readonly string[] inputs = Roots(options.InputRoots);
    readonly string[] outputs = Roots(options.OutputRoots);
    readonly string[] models = Roots([options.ModelsRoot]);

    public ArtifactOptions Options => options;

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

    internal string Allowed(string path, ArtifactAccess access, string field)
    {
        var real = RealPath.Of(path);
        if (real is not null && RootsFor(access).Any(root => RealPath.IsWithin(real, root)))
            return real;
        // Where a link leads to is not said: it would tell what lies outside.
        throw FileUri.Refuse("path_outside_roots", field, $"{path} is not within the folders allowed for this; ask the operator which are (Artifacts:{Setting(access)}).");
    }

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

    string[] RootsFor(ArtifactAccess access) => access switch
    {
        ArtifactAccess.Input => inputs,
        ArtifactAccess.Output => outputs,
        ArtifactAccess.Model => models,
        _ => [.. inputs, .. outputs, .. models],
    };

    static string Setting(ArtifactAccess access) => access switch
    {
        ArtifactAccess.Output => nameof(ArtifactOptions.OutputRoots),
        ArtifactAccess.Model => nameof(ArtifactOptions.ModelsRoot),
        _ => nameof(ArtifactOptions.InputRoots),
    };

    static string[] Roots(IEnumerable<string> folders) =>
        [.. folders.Where(f => f.Length > 0).Select(f => RealPath.Of(Path.GetFullPath(f)) ?? throw new ArgumentException($"{f} is a circle of links."))];
}
