namespace Artifacts.Caching;

/// <summary>Copies side by side under names of their own, in a folder that is gone when this is disposed. What has a file of it open or mapped keeps that.</summary>
public sealed class LocalFolder : IDisposable
{
    readonly List<LocalFile> held = [];

    internal LocalFolder(string path) => Path = path;

    public string Path { get; }

    /// <summary>Of all files in it.</summary>
    internal long Bytes { get; private set; }

    /// <summary>Takes over the lease: while the folder has the file, the room for it is taken.</summary>
    internal void Add(string name, LocalFile file)
    {
        held.Add(file);
        var place = System.IO.Path.Join(Path, name);
        if (!Posix.TryLink(file.Path, place))
            File.Copy(file.Path, place);
        Bytes += new FileInfo(place).Length;
    }

    public void Dispose()
    {
        try
        {
            Directory.Delete(Path, recursive: true);
        }
        catch (DirectoryNotFoundException)
        {
            // The store ended before.
        }
        foreach (var file in held)
            file.Dispose();
    }
}
