namespace Artifacts;

public sealed partial class ArtifactStore
{
    /// <summary>The files behind a file, folder or glob URI, in the order of their names. At least one.</summary>
    /// <param name="extensions">Which files of a folder count, e.g. <c>.parquet</c>. A file or glob is taken as it is.</param>
    public IReadOnlyList<PinnedFile> List(string uri, IReadOnlyList<string> extensions, string field = "input.uri")
    {
        var raw = FileUri.RawSegments(uri, field);
        var names = raw.Select(s => FileUri.Decode(s, field)).ToArray();
        var literal = '/' + string.Join('/', names);
        // Whether something outside has such a name is not to be found out: only within the roots may a glob be a name.
        if (raw.Any(NamePattern.IsPattern) && !Path.Exists(TryAllow(literal, ArtifactAccess.Input)))
            return Glob(raw, names, uri, field);

        var path = Allowed(literal, ArtifactAccess.Input, field);
        if (!Directory.Exists(path))
            return [Pin(path, Path.GetFileName(literal), field)];

        var files = Walk(path, path, field)
            .Where(f => extensions.Any(e => f.EndsWith(e, StringComparison.OrdinalIgnoreCase)))
            .Order(StringComparer.Ordinal)
            .Select(f => Within(path, f, field))
            .ToArray();
        return files.Length > 0
            ? files
            : throw FileUri.Refuse("input_empty", field, $"{literal} has no {string.Join(", ", extensions)} file.");
    }

    PinnedFile[] Glob(string[] raw, string[] names, string uri, string field)
    {
        var first = Array.FindIndex(raw, NamePattern.IsPattern);
        var root = Allowed('/' + string.Join('/', names[..first]), ArtifactAccess.Input, field);
        IEnumerable<string> level = [root];
        for (var i = first; i < raw.Length; i++)
        {
            var (pattern, isLast) = (raw[i], i == raw.Length - 1);
            var name = names[i];
            level = level.SelectMany(folder => Entries(folder, field)
                .Where(e => NamePattern.IsPattern(pattern) ? NamePattern.Matches(pattern, Path.GetFileName(e)) : Path.GetFileName(e) == name)
                .Where(e => isLast != IsFolder(root, e, field)))
                .ToArray();
        }
        var files = level.Order(StringComparer.Ordinal).Select(f => Within(root, f, field)).ToArray();
        return files.Length > 0 ? files : throw FileUri.Refuse("input_missing", field, $"No file matches {uri}.");
    }

    // Judged before it is looked at: what a link out leads to, and what somebody else's folder holds, is not to be found out.
    bool IsFolder(string root, string entry, string field)
    {
        var isLink = new FileInfo(entry).LinkTarget is not null;
        if (isLink && TryAllow(entry, ArtifactAccess.Input) is null)
            throw FileUri.Refuse("path_outside_roots", field, $"{Path.GetRelativePath(root, entry)} is a link that leads out of the folders allowed for this.");
        if (!Directory.Exists(entry))
            return false;
        return isLink || TryAllow(entry, ArtifactAccess.Input) is not null
            ? true
            : throw FileUri.Refuse("path_outside_roots", field, "It holds a folder that is not allowed for this; give the folders that are.");
    }

    // A link inside a folder may lead anywhere: each file is checked on its own.
    PinnedFile Within(string folder, string path, string field) =>
        Pin(Allowed(path, ArtifactAccess.Input, field), Path.GetRelativePath(folder, path), field);

    IEnumerable<string> Walk(string root, string folder, string field)
    {
        foreach (var entry in Entries(folder, field))
        {
            if (!IsFolder(root, entry, field))
                yield return entry;
            else if (new DirectoryInfo(entry).LinkTarget is not null)
                throw FileUri.Refuse("path_outside_roots", field, $"{Path.GetRelativePath(root, entry)} is a link to a folder; such links are not followed, give the folder itself.");
            else
                foreach (var file in Walk(root, entry, field))
                    yield return file;
        }
    }

    // Names that begin with _ or . are other programs' notes and unfinished files: _SUCCESS, _temporary, .crc.
    static IEnumerable<string> Entries(string folder, string field)
    {
        try
        {
            return Directory.Exists(folder)
                ? [.. Directory.EnumerateFileSystemEntries(folder).Where(e => Path.GetFileName(e)[0] is not ('_' or '.'))]
                : [];
        }
        catch (UnauthorizedAccessException)
        {
            throw FileUri.Refuse("input_unreadable", field, $"{Path.GetFileName(folder)} cannot be listed; give this platform's user the right to read it.");
        }
    }
}
