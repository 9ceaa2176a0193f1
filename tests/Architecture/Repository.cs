namespace Architecture.Tests;

/// <summary>The clone this was built in.</summary>
static class Repository
{
    public static string Root { get; } = FindRoot();

    /// <summary>Folders that git ignores, by name.</summary>
    static readonly HashSet<string> Ignored =
    [
        ".git", .. File.ReadLines(Path.Combine(Root, ".gitignore")).Where(line => line.EndsWith('/')).Select(line => line.Trim('/')),
    ];

    public static IReadOnlyList<ProjectFile> Projects { get; } =
        [.. Files("src").Where(f => f.EndsWith(".csproj", StringComparison.Ordinal)).Select(f => ProjectFile.Read(Path.Combine(Root, f)))];

    /// <summary>A pipeline is a folder of Contracts; the ledger is what they share.</summary>
    public static IReadOnlyList<string> Pipelines { get; } =
        [.. Directory.EnumerateDirectories(Path.Combine(Root, "src/Contracts")).Select(f => Path.GetFileName(f)!).Where(n => n != "WorkLedger" && !Ignored.Contains(n))];

    /// <summary>Paths relative to the root, with slashes.</summary>
    public static IEnumerable<string> Files(string folder = "") =>
        Walk(Path.Combine(Root, folder)).Select(f => Path.GetRelativePath(Root, f).Replace('\\', '/')).Order(StringComparer.Ordinal);

    public static string Text(string file) => File.ReadAllText(Path.Combine(Root, file));

    /// <summary>The built assembly of one of our projects: the tests' own output has them all.</summary>
    public static CompiledAssembly Assembly(string project) => CompiledAssembly.Read(Path.Combine(AppContext.BaseDirectory, $"{project}.dll"));

    static IEnumerable<string> Walk(string folder)
    {
        foreach (var entry in new DirectoryInfo(folder).EnumerateFileSystemInfos().Where(e => e.LinkTarget is null && !Ignored.Contains(e.Name)))
        {
            if (entry is FileInfo)
                yield return entry.FullName;
            else
                foreach (var file in Walk(entry.FullName))
                    yield return file;
        }
    }

    static string FindRoot()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "Sagas.sln")))
                return folder.FullName;
        }

        throw new DirectoryNotFoundException($"There is no Sagas.sln above {AppContext.BaseDirectory}.");
    }
}
