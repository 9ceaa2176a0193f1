namespace Artifacts;

/// <summary>A path with every symbolic link followed, also where its last names do not exist yet.</summary>
public static class RealPath
{
    // As many as the kernel follows before it calls it a loop.
    const int MostLinks = 40;

    /// <summary>Null when links go round in a circle.</summary>
    public static string? Of(string path)
    {
        var rest = new Stack<string>(Names(path).Reverse());
        var current = "/";
        var links = 0;
        while (rest.TryPop(out var name))
        {
            if (name == ".")
                continue;
            if (name == "..")
            {
                current = Path.GetDirectoryName(current) ?? "/";
                continue;
            }
            var next = Path.Join(current, name);
            if (new FileInfo(next).LinkTarget is not { } target)
            {
                current = next;
                continue;
            }
            if (++links > MostLinks)
                return null;
            if (Path.IsPathRooted(target))
                current = "/";
            foreach (var part in Names(target).Reverse())
                rest.Push(part);
        }
        return current;
    }

    public static bool IsWithin(string path, string folder) =>
        path == folder || path.StartsWith(folder.EndsWith('/') ? folder : folder + '/', StringComparison.Ordinal);

    static string[] Names(string path) => path.Split('/', StringSplitOptions.RemoveEmptyEntries);
}
