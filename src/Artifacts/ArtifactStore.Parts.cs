using System.Buffers.Binary;
using System.IO.Compression;
using Artifacts.Caching;
using Microsoft.Win32.SafeHandles;

namespace Artifacts;

// Looking at a remote table takes a part of it.
public sealed partial class ArtifactStore
{
    const int ParquetTailBytes = 8;
    const int ParquetTailGuess = 64 << 10;
    const int LargestParquetFooter = 256 << 20;

    /// <summary>Room for the longest header and more records than are sampled.</summary>
    const int TextHeadBytes = 4 << 20;

    static readonly byte[] ParquetMark = "PAR1"u8.ToArray();

    /// <summary>
    /// Of a Parquet file that was pinned, its footer in a file of the same length, which has holes elsewhere: enough to learn columns and
    /// row groups. Where a server gives only whole files, the whole file.
    /// </summary>
    internal async Task<LocalFile> FetchFooterAsync(PinnedFile file, CancellationToken cancellationToken)
    {
        (file, var source) = await FindAsync(file, ArtifactAccess.Read, "uri", cancellationToken);
        var tail = (int)Math.Min(ParquetTailGuess, file.Length);
        if (tail < ParquetTailBytes || await source.ReadAsync(file, file.Length - tail, tail, cancellationToken) is not { } content)
            return await FetchAsync(file, cancellationToken);
        var footer = BinaryPrimitives.ReadUInt32LittleEndian(content.AsSpan(tail - ParquetTailBytes)) + (long)ParquetTailBytes;
        // Larger ones, and what is no footer at all, are DuckDB's to judge.
        if (footer > tail && footer <= Math.Min(file.Length, LargestParquetFooter))
            content = (await source.ReadAsync(file, file.Length - footer, (int)footer, cancellationToken))!;
        return await KeepAsync(async handle =>
        {
            RandomAccess.SetLength(handle, file.Length);
            await RandomAccess.WriteAsync(handle, content, file.Length - content.Length, cancellationToken);
            if (file.Length >= ParquetMark.Length + content.Length)
                await RandomAccess.WriteAsync(handle, ParquetMark, 0, cancellationToken);
        });
    }

    /// <summary>Of a text file that was pinned, the first whole records, decompressed.</summary>
    /// <param name="isQuoted">A line break in quotes ends no record.</param>
    internal async Task<LocalFile> FetchHeadAsync(PinnedFile file, bool isQuoted, CancellationToken cancellationToken)
    {
        (file, var source) = await FindAsync(file, ArtifactAccess.Read, "uri", cancellationToken);
        var length = (int)Math.Min(TextHeadBytes, file.Length);
        if (length == file.Length || await source.ReadAsync(file, 0, length, cancellationToken) is not { } content)
            return await FetchAsync(file, cancellationToken);
        if (file.Uri.EndsWith(".gz", StringComparison.OrdinalIgnoreCase) && Decompressed(content) is { Length: > 0 } text)
            content = text;
        else if (file.Uri.EndsWith(".gz", StringComparison.OrdinalIgnoreCase))
            return await FetchAsync(file, cancellationToken);
        return await KeepAsync(async handle => await RandomAccess.WriteAsync(handle, content.AsMemory(0, EndOfRecords(content, isQuoted)), 0, cancellationToken));
    }

    async Task<LocalFile> KeepAsync(Func<SafeFileHandle, Task> write)
    {
        var path = remotes.Cache!.NewOutgoing();
        try
        {
            using var handle = File.OpenHandle(path, FileMode.CreateNew, FileAccess.ReadWrite);
            await write(handle);
        }
        catch
        {
            File.Delete(path);
            throw;
        }
        return new LocalFile(path, isTemporary: true);
    }

    // As far as it goes: the end of the compressed part is no end of the stream.
    static byte[] Decompressed(byte[] content)
    {
        using var stream = new GZipStream(new MemoryStream(content), CompressionMode.Decompress);
        var text = new byte[TextHeadBytes];
        var length = 0;
        try
        {
            for (int read; length < text.Length && (read = stream.Read(text, length, text.Length - length)) > 0; length += read)
            {
            }
        }
        catch (InvalidDataException)
        {
            // Half of a block; what came before it is whole.
        }
        return text[..length];
    }

    static int EndOfRecords(byte[] content, bool isQuoted)
    {
        var (end, quoted) = (0, false);
        for (var i = 0; i < content.Length; i++)
        {
            if (isQuoted && content[i] == '"')
                quoted = !quoted;
            else if (!quoted && content[i] is (byte)'\n' or (byte)'\r' && (content[i] == '\n' || i + 1 == content.Length || content[i + 1] != '\n'))
                end = i + 1;
        }
        // One record longer than all that: it is judged as it is.
        return end > 0 ? end : content.Length;
    }
}
