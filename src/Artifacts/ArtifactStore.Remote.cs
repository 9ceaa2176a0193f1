using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;
using Artifacts.Blobs;
using Artifacts.Caching;
using Contracts;
using Microsoft.Win32.SafeHandles;

namespace Artifacts;

public sealed partial class ArtifactStore
{
    const int LargestRead = 64 << 20;

    /// <summary>Judges a URI without a glob, and touches nothing.</summary>
    /// <exception cref="FailureException">It is not this tenant's, for this access.</exception>
    public void Require(string uri, ArtifactAccess access, string field)
    {
        if (RemoteUri.Is(uri))
            Blob(uri, access, field);
        else
            LocalPath(uri, access, field);
    }

    /// <inheritdoc cref="List"/>
    public async ValueTask<IReadOnlyList<PinnedFile>> ListAsync(
        string uri, IReadOnlyList<string> extensions, string field = "input.uri", CancellationToken cancellationToken = default)
    {
        if (!RemoteUri.Is(uri))
            return List(uri, extensions, field);
        var parsed = RemoteUri.Parse(uri, field);
        var files = IsBlob(parsed, uri, ArtifactAccess.Input, field)
            ? await ListBlobsAsync(parsed, extensions, field, cancellationToken)
            : [await remotes.Web.PinAsync(parsed, uri, field, cancellationToken)];
        foreach (var file in files)
            RequireUsable(file, field);
        return files;
    }

    /// <summary>The file that was pinned, here and in place until the lease is disposed. One of this machine is where it is.</summary>
    /// <exception cref="FailureException">
    /// It is not this tenant's; <c>input_changed</c>: it is another by now; <c>artifacts_unavailable</c>, transient: it cannot be had now.
    /// </exception>
    public async Task<LocalFile> FetchAsync(PinnedFile file, CancellationToken cancellationToken = default)
    {
        if (!RemoteUri.Is(file.Uri))
            return new LocalFile(LocalPath(file.Uri, ArtifactAccess.Read));
        (file, var source) = await FindAsync(file, ArtifactAccess.Read, "uri", cancellationToken);
        return await remotes.Cache!.LeaseAsync(CacheName(file), file.Length, (target, token) => source.DownloadAsync(file, target, token), cancellationToken);
    }

    /// <summary>A file by its content: a copy that is here serves without anybody being asked. One of this machine is given unread.</summary>
    /// <param name="sha256">Of the whole content, in small hexadecimal letters.</param>
    /// <exception cref="FailureException"><c>artifact_differs</c>: its content has another hash; and as above.</exception>
    public Task<LocalFile> FetchAsync(string uri, string sha256, ArtifactAccess access, string field, CancellationToken cancellationToken = default) =>
        FetchAsync(uri, sha256, access, field, 0, cancellationToken);

    /// <param name="beside">Bytes that must be here at the same time.</param>
    async Task<LocalFile> FetchAsync(string uri, string sha256, ArtifactAccess access, string field, long beside, CancellationToken cancellationToken)
    {
        if (!RemoteUri.Is(uri))
            return new LocalFile(LocalPath(uri, access, field));
        if (!Sha256Form().IsMatch(sha256))
            throw new ArgumentException("64 small hexadecimal letters are needed.", nameof(sha256));
        // Judged first: that somebody else's copy is here opens nothing.
        var parsed = RemoteUri.Parse(uri, field);
        if (!IsBlob(parsed, uri, access, field))
            throw FileUri.Refuse("uri_host_not_allowed", field, "Over http only inputs are fetched.");
        var place = remotes.Places.Find(parsed, tenant, access, field);
        var name = $"{sha256}{Suffix(uri)}";
        if (await remotes.Cache!.TryLeaseAsync(name, null, cancellationToken) is { } here)
            return here;
        var file = await BlobFiles.TryPinAsync(place, place.Name, field, cancellationToken)
            ?? throw FileUri.Refuse("input_missing", field, $"{place.Container}/{place.Name} does not exist; check the name.");
        RequireUsable(file, field, beside);
        return await remotes.Cache.LeaseAsync(name, file.Length, async (target, token) =>
        {
            await remotes.Blobs.DownloadAsync(file, target, token);
            if (await Sha256Async(target, token) != sha256)
                throw FileUri.Refuse("artifact_differs", field, $"{file.Source} does not have the content that was registered; its sha256 is another.");
        }, cancellationToken);
    }

    /// <summary>All bytes of a small file.</summary>
    public async Task<byte[]> ReadAsync(string uri, ArtifactAccess access, CancellationToken cancellationToken = default)
    {
        if (!RemoteUri.Is(uri))
            return await File.ReadAllBytesAsync(Pin(uri, access).Path, cancellationToken);
        var place = Blob(uri, access, "uri");
        var name = place.FileName;
        var file = await BlobFiles.TryPinAsync(place, name, "uri", cancellationToken)
            ?? throw FileUri.Refuse("input_missing", "uri", $"{name} does not exist; check the path.");
        if (file.Length > LargestRead)
            throw FileUri.Refuse("input_too_large", "uri", $"{name} has {file.Length} bytes; {LargestRead} are read at once.");
        return file.Length == 0 ? [] : (await remotes.Blobs.ReadAsync(file, 0, (int)file.Length, cancellationToken))!;
    }

    /// <summary>Begins a file that nobody sees until it is sealed.</summary>
    public OutgoingFile Create(string uri, string field = "uri") => RemoteUri.Is(uri)
        ? new OutgoingFile(uri, remotes.Cache!.NewOutgoing(), OutputBlob(uri, field))
        : OutgoingFile.Local(uri, LocalPath(uri, ArtifactAccess.Output, field));

    BlobPlace OutputBlob(string uri, string field = "uri") => Blob(uri, ArtifactAccess.Output, field);

    BlobPlace Blob(string uri, ArtifactAccess access, string field)
    {
        var parsed = RemoteUri.Parse(uri, field);
        return IsBlob(parsed, uri, access, field)
            ? remotes.Places.Find(parsed, tenant, access, field)
            : throw FileUri.Refuse("uri_host_not_allowed", field, "The host is no storage account of yours; ask the operator which are.");
    }

    // Else it is a file on another host, if there is any at all.
    bool IsBlob(RemoteUri parsed, string uri, ArtifactAccess access, string field)
    {
        if (remotes.Places.Any && (parsed.Scheme == RemoteUri.Blob || remotes.Places.Serves(parsed, tenant, access)))
            return true;
        if (!Options.HasRemotes || parsed.Scheme == RemoteUri.Blob)
            FileUri.RawSegments(uri, field);
        return remotes.Web.Any ? false : throw FileUri.Refuse("uri_host_not_allowed", field, "The host is no storage account of yours; ask the operator which are.");
    }

    async Task<(PinnedFile File, IRemoteFiles Source)> FindAsync(PinnedFile file, ArtifactAccess access, string field, CancellationToken cancellationToken)
    {
        var parsed = RemoteUri.Parse(file.Uri, field);
        if (!IsBlob(parsed, file.Uri, access, field))
            return (file, remotes.Web);
        var place = remotes.Places.Find(parsed, tenant, access, field);
        // What we wrote ourselves is known by its length: it has a name of its own, and is never written again.
        if (file.ETag is null)
        {
            var now = await BlobFiles.TryPinAsync(place, file.Source, null, cancellationToken);
            file = now?.Length == file.Length ? now : throw RemoteFailures.Changed(file.Source);
        }
        return (file with { Uri = place.Uri }, remotes.Blobs);
    }

    async Task<IReadOnlyList<PinnedFile>> ListBlobsAsync(RemoteUri uri, IReadOnlyList<string> extensions, string field, CancellationToken cancellationToken)
    {
        var names = remotes.Places.Names(uri, tenant, ArtifactAccess.Input).ToList();
        var first = names.FindIndex(NamePattern.IsPattern);
        if (first >= 0)
            return await GlobBlobsAsync(uri, names, first, field, cancellationToken);

        var place = remotes.Places.Find(uri, tenant, ArtifactAccess.Input, field);
        if (!uri.IsFolder && await BlobFiles.TryPinAsync(place, place.FileName, field, cancellationToken) is { } file)
            return [file];
        var folder = place.Name.Length == 0 ? "" : $"{place.Name}/";
        var found = await BlobFiles.ListAsync(place with { Name = folder }, folder, field, cancellationToken);
        if (found.Count == 0)
            throw FileUri.Refuse("input_missing", field, $"{place.Container}/{place.Name} does not exist; check the name.");
        return Sorted(found.Where(f => !IsHidden(f.File.Source) && extensions.Any(e => f.File.Source.EndsWith(e, StringComparison.OrdinalIgnoreCase))), field) is { Count: > 0 } files
            ? files
            : throw FileUri.Refuse("input_empty", field, $"{place.Container}/{place.Name} has no {string.Join(", ", extensions)} file.");
    }

    async Task<IReadOnlyList<PinnedFile>> GlobBlobsAsync(RemoteUri uri, List<string> names, int first, string field, CancellationToken cancellationToken)
    {
        var root = remotes.Places.Find(uri, names[..first], tenant, ArtifactAccess.Input, field);
        var folder = root.Name.Length == 0 ? "" : $"{root.Name}/";
        var head = names[first][..names[first].AsSpan().IndexOfAny("*?[")];
        var prefix = head is "" or "." or ".." ? folder : folder + FileUri.Decode(head, field);
        var parts = names[first..].Select(raw => (Raw: raw, Name: NamePattern.IsPattern(raw) ? null : FileUri.Decode(raw, field))).ToArray();
        var found = await BlobFiles.ListAsync(root with { Name = prefix }, folder, field, cancellationToken);
        var matching = found.Where(f => !IsHidden(f.File.Source) && f.File.Source.Split('/') is var own && own.Length == parts.Length
            && parts.Zip(own).All(p => p.First.Name is { } name ? name == p.Second : NamePattern.Matches(p.First.Raw, p.Second)));
        return Sorted(matching, field) is { Count: > 0 } files ? files : throw FileUri.Refuse("input_missing", field, $"No blob in {root.Container}/{root.Name} matches.");
    }

    static List<PinnedFile> Sorted(IEnumerable<(BlobPlace Place, PinnedFile File)> found, string field)
    {
        var files = found.OrderBy(f => f.File.Source, StringComparer.Ordinal).ToList();
        return files.All(f => f.Place.Name.Split('/').All(name => name is not ("" or "." or "..") && !name.Contains('\\') && !name.Any(char.IsControl)))
            ? [.. files.Select(f => f.File)]
            : throw FileUri.Refuse("uri_invalid", field, "It holds a blob whose name cannot be written as a URI: an empty name, a dot or a control character between slashes. Rename it.");
    }

    // As with files: other programs' notes and unfinished files.
    static bool IsHidden(string source) => source.Split('/').Any(name => name.Length > 0 && name[0] is '_' or '.');

    void RequireUsable(PinnedFile file, string field, long beside = 0)
    {
        if (file.Length == 0)
            throw FileUri.Refuse("input_empty", field, $"{file.Source} is empty.");
        if (file.Length > remotes.Cache!.Bytes - beside)
            throw FileUri.Refuse("input_too_large", field,
                $"{file.Source} has {file.Length + beside} bytes{(beside > 0 ? " with those beside it" : "")}, and the cache for copies {remotes.Cache.Bytes}; split it, or have the operator enlarge Artifacts:CacheBytes.");
    }

    static string CacheName(PinnedFile file) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{file.Uri}\n{file.ETag}\n{file.Length}"))) + Suffix(file.Uri);

    // Readers tell compressed text by its name.
    static string Suffix(string uri) => SuffixForm().Match(uri) is { Success: true } suffix ? suffix.Value.ToLowerInvariant() : "";

    static async Task<string> Sha256Async(SafeFileHandle file, CancellationToken cancellationToken)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = new byte[1 << 20];
        long position = 0;
        for (int length; (length = await RandomAccess.ReadAsync(file, buffer, position, cancellationToken)) > 0; position += length)
            hash.AppendData(buffer, 0, length);
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    [GeneratedRegex(@"(\.[A-Za-z0-9]{1,10}){1,2}\z")]
    private static partial Regex SuffixForm();

    [GeneratedRegex(@"\A[0-9a-f]{64}\z")]
    private static partial Regex Sha256Form();
}
