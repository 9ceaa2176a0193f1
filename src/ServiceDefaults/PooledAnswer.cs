using System.Buffers;

namespace ServiceDefaults;

/// <summary>An answer while it is written, in memory of the pool.</summary>
public sealed class PooledAnswer : IBufferWriter<byte>, IDisposable
{
    byte[] buffer = ArrayPool<byte>.Shared.Rent(4096);
    int length;

    public ReadOnlyMemory<byte> Written => buffer.AsMemory(0, length);

    public void Advance(int count) => length += count;

    public Memory<byte> GetMemory(int sizeHint = 0)
    {
        Reserve(sizeHint);
        return buffer.AsMemory(length);
    }

    public Span<byte> GetSpan(int sizeHint = 0)
    {
        Reserve(sizeHint);
        return buffer.AsSpan(length);
    }

    public void Dispose()
    {
        ArrayPool<byte>.Shared.Return(buffer);
        buffer = [];
    }

    void Reserve(int size)
    {
        if (buffer.Length - length >= Math.Max(size, 256))
            return;
        var larger = ArrayPool<byte>.Shared.Rent(checked(Math.Max(buffer.Length * 2, length + size)));
        buffer.AsSpan(0, length).CopyTo(larger);
        ArrayPool<byte>.Shared.Return(buffer);
        buffer = larger;
    }
}
