namespace Artifacts;

/// <summary>A remote file as it was when it was pinned, read in parts from wherever its reader is. Any read may throw as a fetch does.</summary>
sealed class RemoteStream(IRemoteFiles files, PinnedFile file) : Stream
{
    // Who wants a few bytes is not made to wait for many; who wants all does not ask often.
    const int FirstPart = 64 << 10;
    const int LargestPart = 4 << 20;

    byte[] part = [];
    long partStart;
    int nextPart = FirstPart;

    public override bool CanRead => true;

    public override bool CanSeek => true;

    public override bool CanWrite => false;

    public override long Length => file.Length;

    public override long Position { get; set; }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (Position >= Length || buffer.Length == 0)
            return 0;
        if (Position < partStart || Position >= partStart + part.Length)
        {
            var length = (int)Math.Min(nextPart, Length - Position);
            part = await files.ReadAsync(file, Position, length, cancellationToken) ?? throw new NotSupportedException("The server gives only whole files.");
            (partStart, nextPart) = (Position, Math.Min(LargestPart, nextPart * 2));
        }
        var here = part.AsMemory((int)(Position - partStart));
        var count = Math.Min(here.Length, buffer.Length);
        here[..count].CopyTo(buffer);
        Position += count;
        return count;
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) => ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException("Remote files are read asynchronously.");

    public override long Seek(long offset, SeekOrigin origin) => Position = origin switch
    {
        SeekOrigin.Begin => offset,
        SeekOrigin.Current => Position + offset,
        _ => Length + offset,
    };

    public override void Flush()
    {
    }

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
}
