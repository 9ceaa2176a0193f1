using System.Buffers;
using Contracts;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace ServiceDefaults;

/// <summary>A request's body in memory of the pool.</summary>
public readonly struct PooledBody(byte[] buffer, int length) : IDisposable
{
    const int Unknown = 16 * 1024;

    /// <summary>Bytes over the limit: a body a little larger is taken to its end, or its sender would lose the answer.</summary>
    public const long Taken = 1 << 20;

    public ReadOnlyMemory<byte> Memory => buffer.AsMemory(0, length);

    /// <param name="most">Bytes; more is refused with <c>body_too_large</c>.</param>
    /// <param name="setting">Which says how many.</param>
    public static async ValueTask<PooledBody> ReadAsync(HttpRequest request, int most, string setting, CancellationToken cancellationToken)
    {
        if (request.HttpContext.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } limit)
            limit.MaxRequestBodySize = most + Taken;
        if (request.ContentLength > most)
            throw TooLarge(most, setting);
        // What is said to come is not believed before it does.
        var buffer = ArrayPool<byte>.Shared.Rent((int)Math.Min(request.ContentLength ?? Unknown, 1 << 20) + 1);
        var length = 0;
        try
        {
            while (await request.Body.ReadAsync(buffer.AsMemory(length), cancellationToken) is > 0 and var read)
            {
                if ((length += read) > most)
                    throw TooLarge(most, setting);
                if (length < buffer.Length)
                    continue;
                var larger = ArrayPool<byte>.Shared.Rent((int)Math.Min(buffer.Length * 2L, most + 1L));
                buffer.AsSpan(0, length).CopyTo(larger);
                ArrayPool<byte>.Shared.Return(buffer);
                buffer = larger;
            }
            return new PooledBody(buffer, length);
        }
        catch
        {
            ArrayPool<byte>.Shared.Return(buffer);
            throw;
        }
    }

    public void Dispose() => ArrayPool<byte>.Shared.Return(buffer);

    static FailureException TooLarge(int most, string setting) => new("body_too_large", $"The body may have at most {most} bytes ({setting}).");
}
