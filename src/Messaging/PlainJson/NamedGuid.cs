using System.Security.Cryptography;
using System.Text;

namespace Messaging.PlainJson;

/// <summary>An id that follows from a text: the same text always has the same. A UUID of version 8 (RFC 9562), cut from its SHA-256.</summary>
public static class NamedGuid
{
    public static Guid Of(string text)
    {
        var bytes = SHA256.HashData(Encoding.UTF8.GetBytes(text)).AsSpan(0, 16);
        bytes[6] = (byte)((bytes[6] & 0x0F) | 0x80);
        bytes[8] = (byte)((bytes[8] & 0x3F) | 0x80);
        return new Guid(bytes, bigEndian: true);
    }
}
