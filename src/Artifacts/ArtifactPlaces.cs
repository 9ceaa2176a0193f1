namespace Artifacts;

/// <summary>
/// Which folder is whose. All paths are real ones, links followed. Where folders of several tenants lie within each other, the innermost
/// one decides.
/// </summary>
sealed class ArtifactPlaces(ArtifactOptions options)
{
    // What some file systems take for an @ too.
    static readonly char[] Marks = ['@', '\uFE6B', '\uFF20'];

    readonly Place[] inputs =
    [
        .. Roots(options.InputRoots).Select(root => new Place(root, options.HomeTenant, ArtifactAccess.Input)),
        .. options.Tenants.SelectMany(t => Roots(t.Value.InputRoots).Select(root => new Place(root, t.Key, ArtifactAccess.Input))),
    ];

    readonly string[] outputs = Roots(options.OutputRoots);
    readonly string[] models = Roots(RemoteUri.Is(options.ModelsRoot) ? [] : [options.ModelsRoot]);

    /// <summary>Whether a path lies within the roots, whosever they are.</summary>
    public bool Allows(ArtifactAccess access, string path) =>
        RootsFor(access).Any(root => RealPath.IsWithin(path, root));

    /// <summary>Whether a path is this tenant's: within a folder of its own for this access, and in no other's that lies deeper.</summary>
    public bool Allows(string tenant, ArtifactAccess access, string path)
    {
        var around = PlacesAround(path).ToList();
        var own = around.Where(place => place.Tenant == tenant).ToList();
        return own.Any(place => access is ArtifactAccess.Read || place.Access == access)
            && own.Max(place => place.Folder.Length) >= around.Max(place => place.Folder.Length);
    }

    /// <summary>An output root or a tenant's folder in one: no job's own.</summary>
    public bool IsShared(string path) =>
        IsOutputRoot(path) || (IsMarked(Path.GetFileName(path)) && IsOutputRoot(Path.GetDirectoryName(path)!));

    /// <summary>Where a tenant may write, as URIs.</summary>
    public IEnumerable<string> OutputsOf(string tenant) => outputs.Select(root => FileUri.FromPath(Path.Join(root, ArtifactStore.FolderOf(tenant))));

    public bool IsOutputRoot(string path) => outputs.Contains(path);

    IEnumerable<Place> PlacesAround(string path) =>
        inputs.Where(place => RealPath.IsWithin(path, place.Folder))
            .Concat(outputs.SelectMany(root => Divided(path, root, ArtifactAccess.Output)))
            .Concat(models.SelectMany(root => Divided(path, root, ArtifactAccess.Model)));

    // Of a root that tenants share: it is the home tenant's, but for the folders that are marked as somebody's.
    IEnumerable<Place> Divided(string path, string root, ArtifactAccess access)
    {
        if (!RealPath.IsWithin(path, root))
            yield break;
        yield return new Place(root, options.HomeTenant, access);
        if (MarkedName(path, root) is { } name)
            yield return new Place(Path.Join(root, name), OwnerOf(name), access);
    }

    string[] RootsFor(ArtifactAccess access) => access switch
    {
        ArtifactAccess.Input => [.. inputs.Select(place => place.Folder)],
        ArtifactAccess.Output => outputs,
        ArtifactAccess.Model => models,
        _ => [.. inputs.Select(place => place.Folder), .. outputs, .. models],
    };

    static bool IsMarked(string name) => name.Length > 0 && Marks.Contains(name[0]);

    /// <summary>The first name of a path below a root that tenants share, where it is marked as somebody's.</summary>
    public static string? MarkedName(string path, string root) =>
        path[root.Length..].Split('/', StringSplitOptions.RemoveEmptyEntries) is [var first, ..] && IsMarked(first) ? first : null;

    /// <returns>Null: nobody's, though somebody may think so.</returns>
    public static string? OwnerOf(string markedName) => markedName[0] == '@' ? markedName[1..] : null;

    static string[] Roots(IEnumerable<string> folders) =>
        [.. folders.Where(f => f.Length > 0).Select(f => RealPath.Of(Path.GetFullPath(f)) ?? throw new ArgumentException($"{f} is a circle of links."))];

    /// <param name="Tenant">Null: nobody's, though somebody may think so.</param>
    sealed record Place(string Folder, string? Tenant, ArtifactAccess Access);
}
