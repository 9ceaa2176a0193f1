namespace Architecture.Tests;

/// <summary>Who may reference whom. Each gives what breaks it, in words.</summary>
static class ReferenceRules
{
    static readonly string[] Hosts = ["Api", "Consumers", "GpuWorker", "Standalone"];

    public static IEnumerable<string> HostsThatReferenceHosts(IReadOnlyList<ProjectFile> projects) =>
        from project in projects
        where Hosts.Contains(project.Name) && project.Name != "Standalone"
        from other in Closure(projects, project.Name)
        where Hosts.Contains(other.Name) && other.Name != project.Name
        select $"{project.Name} references {other.Name}";

    /// <summary>What a project may not have, itself or by way of another project of ours.</summary>
    /// <param name="barred">Names of projects or packages; a package also stands for those whose names go on after a dot.</param>
    public static IEnumerable<string> Barred(IReadOnlyList<ProjectFile> projects, string name, params string[] barred) =>
        from project in Closure(projects, name)
        from reference in project.Projects.Concat(project.Packages)
        where barred.Any(b => IsOrBelongsTo(reference, b))
        select $"{name} has {reference} by way of {project.Name}";

    public static IEnumerable<string> Barred(CompiledAssembly assembly, params string[] barred) =>
        from reference in assembly.References
        where barred.Any(b => IsOrBelongsTo(reference, b))
        select $"{assembly.Name} was compiled against {reference}";

    /// <summary>The project itself and all that it brings with it.</summary>
    public static IReadOnlyList<ProjectFile> Closure(IReadOnlyList<ProjectFile> projects, string name)
    {
        var found = new List<ProjectFile>();
        var open = new Queue<string>([name]);
        while (open.TryDequeue(out var next))
        {
            if (found.Any(p => p.Name == next) || projects.FirstOrDefault(p => p.Name == next) is not { } project)
                continue;
            found.Add(project);
            foreach (var reference in project.Projects)
                open.Enqueue(reference);
        }

        return found;
    }

    static bool IsOrBelongsTo(string name, string root) => name == root || name.StartsWith($"{root}.", StringComparison.Ordinal);
}
