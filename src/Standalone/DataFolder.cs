namespace Standalone;

/// <summary>The one folder that holds everything a Standalone keeps. The lock lasts as long as the process, however it ends.</summary>
public sealed class DataFolder : IDisposable
{
    readonly FileStream _lock;

    DataFolder(string path, FileStream held) => (Path, _lock) = (path, held);

    public string Path { get; }

    public static DataFolder Open(string path)
    {
        var full = System.IO.Path.GetFullPath(path);
        Directory.CreateDirectory(full);
        var owner = System.IO.Path.Combine(full, "standalone.pid");
        FileStream held;
        try
        {
            held = new FileStream(System.IO.Path.Combine(full, "standalone.lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException e) when (e is not (FileNotFoundException or DirectoryNotFoundException))
        {
            throw new DataFolderInUseException(full, ReadOwner(owner), e);
        }

        // Beside the lock: a locked file cannot be opened to read.
        File.WriteAllText(owner, $"{Environment.ProcessId}\n");
        return new DataFolder(full, held);
    }

    public void Dispose() => _lock.Dispose();

    static int? ReadOwner(string file) =>
        File.Exists(file) && int.TryParse(File.ReadAllText(file), out var pid) ? pid : null;
}

public sealed class DataFolderInUseException(string folder, int? processId, Exception inner)
    : Exception($"The data folder {folder} is in use by {(processId is { } pid ? $"process {pid}" : "another process")}. Stop it, or choose another folder with --data.", inner)
{
    public string Folder { get; } = folder;
    public int? ProcessId { get; } = processId;
}
