using System.Buffers.Binary;
using System.Security.Cryptography;
using Contracts;

namespace Consumers.BatchInference;

/// <summary>A file's identity without reading it: the footer holds the offset, size and statistics of every page.</summary>
static class ParquetFooter
{
    const int TailBytes = 8;

    public static string Sha256(string path)
    {
        using var file = File.OpenHandle(path);
        Span<byte> tail = stackalloc byte[TailBytes];
        var length = RandomAccess.GetLength(file);
        if (RandomAccess.Read(file, tail, length - TailBytes) != TailBytes)
            throw new FailureException(FailureCodes.InputChanged, $"{Path.GetFileName(path)} became shorter while it was planned. Submit the job again.");
        var footer = new byte[Math.Min(BinaryPrimitives.ReadUInt32LittleEndian(tail), length - TailBytes)];
        RandomAccess.Read(file, footer, length - TailBytes - footer.Length);
        return Convert.ToHexStringLower(SHA256.HashData(footer));
    }
}
