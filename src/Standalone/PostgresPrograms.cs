using System.Text.Json;

namespace Standalone;

/// <summary>The npm package cannot hold symbolic links: it lists them, and an install without scripts leaves them out.</summary>
static class PostgresPrograms
{
    /// <returns>A folder for LD_LIBRARY_PATH where the package itself may not be written to, else null.</returns>
    public static string? LinkLibraries(string programs, string fallbackFolder)
    {
        var list = Path.Combine(programs, "pg-symlinks.json");
        if (!File.Exists(list))
            return null;

        var package = Path.GetDirectoryName(Path.GetFullPath(programs))!;
        var links = JsonSerializer.Deserialize<Link[]>(File.ReadAllBytes(list), JsonSerializerOptions.Web)!
            .Select(link => (Source: Path.Combine(package, link.Source), Target: Path.Combine(package, link.Target)))
            .Where(link => !Path.Exists(link.Target))
            .ToArray();
        try
        {
            foreach (var (source, target) in links)
                Create(target, Path.GetRelativePath(Path.GetDirectoryName(target)!, source));
            return null;
        }
        catch (Exception e) when (e is UnauthorizedAccessException or IOException)
        {
            Directory.CreateDirectory(fallbackFolder);
            foreach (var (source, target) in links)
                Create(Path.Combine(fallbackFolder, Path.GetFileName(target)), source);
            return fallbackFolder;
        }
    }

    static void Create(string path, string target)
    {
        try
        {
            File.CreateSymbolicLink(path, target);
        }
        catch (IOException) when (new FileInfo(path).LinkTarget is not null)
        {
            // Another process was faster; links are created whole.
        }
    }

    sealed record Link(string Source, string Target);
}
