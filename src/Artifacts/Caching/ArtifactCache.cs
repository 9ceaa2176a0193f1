using System.Collections.Concurrent;
using Contracts;
using Microsoft.Win32.SafeHandles;

namespace Artifacts.Caching;

/// <summary>
/// Local copies of remote files, in a folder that several processes may share. A copy is there wholly or not at all, also after kill -9;
/// each is fetched once however many ask for it; while it is in use it stays, and when room is needed the one least recently used goes.
/// </summary>
/// <remarks>
/// <c>files/</c> holds whole copies: a reader has a shared lock on its own, and only who has it alone may delete it. <c>fetching/</c> holds
/// unfinished ones, locked by who fetches: one without a lock is a dead process's. <c>locks/</c> says who fetches what.
/// <c>outgoing/</c> is for files on their way out, and for copies under other names, a folder a process.
/// </remarks>
public sealed class ArtifactCache : IDisposable
{
    const int MostFetches = 5;
    const string OwnerLock = ".lock";

    static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(20);
    static readonly TimeSpan LongestWaitForRoom = TimeSpan.FromSeconds(20);

    readonly ConcurrentDictionary<string, Lazy<Task>> flights = [];
    readonly CancellationTokenSource stopping = new();
    readonly TimeProvider time;
    readonly SafeFileHandle owner;
    readonly string files;
    readonly string fetching;
    readonly string locks;
    readonly string outgoing;

    /// <summary>Removes what dead processes left.</summary>
    /// <param name="bytes">Most bytes that copies may have together.</param>
    public ArtifactCache(string folder, long bytes, TimeProvider time)
    {
        (this.time, Bytes) = (time, bytes);
        (files, fetching, locks) = (Path.Join(folder, "files"), Path.Join(folder, "fetching"), Path.Join(folder, "locks"));
        var all = Path.Join(folder, "outgoing");
        outgoing = Path.Join(all, Guid.CreateVersion7().ToString("n"));
        foreach (var made in new[] { files, fetching, locks, all })
            Directory.CreateDirectory(made, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        using (TakeSpace())
        {
            RemoveDeadFetches();
            foreach (var other in Directory.EnumerateDirectories(all))
                RemoveIfDead(other);
            Directory.CreateDirectory(outgoing);
            owner = FileLock.TryTake(Path.Join(outgoing, OwnerLock))!;
        }
    }

    /// <summary>Largest file that fits.</summary>
    public long Bytes { get; }

    /// <summary>Where a file is written that goes elsewhere afterwards. It is gone when the process is.</summary>
    public string NewOutgoing() => Path.Join(outgoing, $"{Guid.CreateVersion7():n}.tmp");

    /// <summary>An empty folder, on the copies' file system, for who makes it alone. It is gone when the process is.</summary>
    public string NewFolder() => Directory.CreateDirectory(
        Path.Join(outgoing, $"{Guid.CreateVersion7():n}"), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute).FullName;

    /// <summary>The copy, in place until the lease is disposed. A fetch goes on when its caller gives up: the next finds it further on.</summary>
    /// <param name="name">A file name that stands for this content and no other.</param>
    /// <param name="length">In bytes.</param>
    /// <param name="fill">Writes all of it, or throws.</param>
    /// <exception cref="FailureException">It does not fit, or <paramref name="fill"/> threw.</exception>
    public async Task<LocalFile> LeaseAsync(string name, long length, Func<SafeFileHandle, CancellationToken, Task> fill, CancellationToken cancellationToken)
    {
        for (var fetches = 0; ; fetches++)
        {
            if (await TryLeaseAsync(name, length, cancellationToken) is { } file)
                return file;
            if (fetches == MostFetches)
                throw Full(name);
            var flight = flights.GetOrAdd(name, _ => new Lazy<Task>(() => FlyAsync(name, length, fill)));
            await flight.Value.WaitAsync(cancellationToken);
        }
    }

    public void Dispose()
    {
        stopping.Cancel();
        try
        {
            Directory.Delete(outgoing, recursive: true);
        }
        catch (DirectoryNotFoundException)
        {
            // Somebody cleared the folder.
        }
        owner.Dispose();
    }

    /// <summary>The copy if it is here.</summary>
    /// <param name="length">Null: whatever it has.</param>
    public async Task<LocalFile?> TryLeaseAsync(string name, long? length, CancellationToken cancellationToken)
    {
        var path = Path.Join(files, name);
        while (true)
        {
            try
            {
                if (FileLock.TryShare(path) is { } hold)
                {
                    if (Posix.IsAt(hold, path) && (length is null || RandomAccess.GetLength(hold) == length))
                    {
                        File.SetLastWriteTimeUtc(path, time.GetUtcNow().UtcDateTime);
                        return new LocalFile(path, hold);
                    }
                    hold.Dispose();
                    // What a full disk or a hand from outside has made of it.
                    using var alone = File.Exists(path) ? FileLock.TryTake(path, FileMode.Open) : null;
                    if (alone is not null && length is not null && RandomAccess.GetLength(alone) != length)
                        File.Delete(path);
                    return null;
                }
            }
            catch (FileNotFoundException)
            {
                return null;
            }
            // Somebody puts it there or takes it away at this moment.
            await Task.Delay(Pause, cancellationToken);
        }
    }

    async Task FlyAsync(string name, long length, Func<SafeFileHandle, CancellationToken, Task> fill)
    {
        try
        {
            var lockPath = Path.Join(locks, name);
            using var turn = await FileLock.TakeAsync(lockPath, stopping.Token);
            try
            {
                if (!File.Exists(Path.Join(files, name)))
                    await FetchAsync(name, length, fill, stopping.Token);
            }
            finally
            {
                // Before it is free: who waits for it takes a new one.
                File.Delete(lockPath);
            }
        }
        finally
        {
            flights.TryRemove(name, out _);
        }
    }

    async Task FetchAsync(string name, long length, Func<SafeFileHandle, CancellationToken, Task> fill, CancellationToken cancellationToken)
    {
        var temporary = Path.Join(fetching, $"{Guid.CreateVersion7():n}.{name}");
        using var handle = await ReserveAsync(temporary, name, length, cancellationToken);
        try
        {
            await fill(handle, cancellationToken);
            RandomAccess.FlushToDisk(handle);
            File.Move(temporary, Path.Join(files, name), overwrite: false);
            Posix.SyncFolder(files);
        }
        finally
        {
            File.Delete(temporary);
        }
    }

    // The room is taken by an empty file of the full length, so that all processes count it.
    async Task<SafeFileHandle> ReserveAsync(string temporary, string name, long length, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        while (true)
        {
            using (await FileLock.TakeAsync(SpaceLock, cancellationToken))
            {
                if (MakeRoom(length))
                {
                    var handle = FileLock.TryTake(temporary, FileMode.CreateNew)!;
                    RandomAccess.SetLength(handle, length);
                    return handle;
                }
            }
            if (length > Bytes || time.GetElapsedTime(started) > LongestWaitForRoom)
                throw Full(name);
            await Task.Delay(TimeSpan.FromMilliseconds(100), cancellationToken);
        }
    }

    bool MakeRoom(long length)
    {
        RemoveDeadFetches();
        var copies = new DirectoryInfo(files).GetFiles().OrderBy(file => file.LastWriteTimeUtc).ToList();
        var used = copies.Sum(file => file.Length) + new DirectoryInfo(fetching).GetFiles().Sum(file => file.Length);
        foreach (var copy in copies.TakeWhile(_ => used + length > Bytes))
        {
            if (!RemoveIfUnused(copy.FullName))
                continue;
            used -= copy.Length;
        }
        return used + length <= Bytes;
    }

    static bool RemoveIfUnused(string path)
    {
        try
        {
            using var alone = FileLock.TryTake(path, FileMode.Open);
            if (alone is not null)
                File.Delete(path);
            return alone is not null;
        }
        catch (FileNotFoundException)
        {
            return true;
        }
    }

    void RemoveDeadFetches()
    {
        foreach (var file in Directory.EnumerateFiles(fetching))
            RemoveIfUnused(file);
    }

    static void RemoveIfDead(string folder)
    {
        using var alone = FileLock.TryTake(Path.Join(folder, OwnerLock));
        if (alone is not null)
            Directory.Delete(folder, recursive: true);
    }

    string SpaceLock => Path.Join(locks, ".space");

    SafeFileHandle TakeSpace()
    {
        // Held for milliseconds, and only by who counts files.
        SafeFileHandle? space;
        while ((space = FileLock.TryTake(SpaceLock)) is null)
            Thread.Yield();
        return space;
    }

    FailureException Full(string name) => new(
        new Failure(FailureCodes.ArtifactsUnavailable, $"The cache of {Bytes} bytes has no room for {name}: everything in it is in use. Enlarge Artifacts:CacheBytes."), isTransient: true);
}
