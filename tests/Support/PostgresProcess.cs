namespace Support;

/// <summary>The embedded PostgreSQL of a data folder, seen from outside.</summary>
public static class PostgresProcess
{
    public static int? Find(string dataFolder)
    {
        try
        {
            var file = Path.Combine(Path.GetFullPath(dataFolder), "postgres", "cluster", "postmaster.pid");
            var pid = int.Parse(File.ReadLines(file).First());
            return File.ReadAllText($"/proc/{pid}/cmdline").Contains(Path.GetDirectoryName(file)!, StringComparison.Ordinal) ? pid : null;
        }
        catch (IOException)
        {
            return null;
        }
    }

    /// <summary>kill -9, then waits until its children have gone too.</summary>
    public static async Task KillAsync(string dataFolder)
    {
        if (Find(dataFolder) is not { } pid)
            return;
        var family = Children(pid);
        Signals.Send(pid, Signals.Kill);
        foreach (var member in family.Append(pid))
            await Eventually.TrueAsync(() => !Signals.IsAlive(member), $"the end of PostgreSQL's process {member}");
    }

    static List<int> Children(int parent) =>
        [.. Directory.GetDirectories("/proc").Select(Path.GetFileName).Where(name => char.IsAsciiDigit(name![0])).Select(int.Parse!).Where(pid => ParentOf(pid) == parent)];

    static int? ParentOf(int pid)
    {
        try
        {
            return int.Parse(File.ReadAllText($"/proc/{pid}/stat").Split(") ")[^1].Split(' ')[1]);
        }
        catch (IOException)
        {
            return null;
        }
    }
}
