using System.Text;
using Contracts;

namespace Artifacts;

/// <summary>
/// <c>file:///folder/name</c> and nothing else; see <see cref="RemoteUri"/> for what lies elsewhere. Not <see cref="Uri"/>: that one folds <c>..</c> away before anybody sees it.
/// </summary>
public static class FileUri
{
    const string Scheme = "file://";

    static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    public static string FromPath(string path) =>
        Scheme + string.Join('/', Path.GetFullPath(path).Split('/').Select(Escape));

    /// <summary>The folder or file below <paramref name="uri"/>.</summary>
    public static string Append(string uri, params string[] segments) =>
        uri.TrimEnd('/') + string.Concat(segments.Select(s => '/' + Escape(s)));

    /// <summary>The file of this name in the same folder.</summary>
    public static string Beside(string uri, string name) => Append(uri[..uri.LastIndexOf('/')], name);

    // An @ is legal in a path, and tenants' folders are read by people.
    static string Escape(string segment) => Uri.EscapeDataString(segment).Replace("%40", "@", StringComparison.Ordinal);

    /// <summary>The path's names, still as the caller wrote them: a glob's letters and escaped ones are different things.</summary>
    internal static string[] RawSegments(string uri, string field)
    {
        if (!uri.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase))
        {
            var scheme = uri.Contains("://") ? $"The scheme {uri[..uri.IndexOf("://", StringComparison.Ordinal)]} is not allowed" : "It has no scheme";
            throw Refuse("uri_scheme_not_allowed", field, $"{scheme}; give file:///absolute/path.");
        }
        var rest = uri[Scheme.Length..];
        var slash = rest.IndexOf('/');
        var host = slash < 0 ? rest : rest[..slash];
        if (host.Length > 0 && !host.Equals("localhost", StringComparison.OrdinalIgnoreCase))
            throw Refuse("uri_scheme_not_allowed", field, "Its host is not this machine; give file:///absolute/path.");
        if (slash < 0)
            throw Refuse("uri_invalid", field, "It names no path; give file:///absolute/path.");
        return rest[slash..].Split('/', StringSplitOptions.RemoveEmptyEntries);
    }

    internal static string Decode(string segment, string field)
    {
        var bytes = new List<byte>(segment.Length);
        for (var i = 0; i < segment.Length; i++)
        {
            if (segment[i] != '%')
            {
                var length = char.IsHighSurrogate(segment[i]) && i + 1 < segment.Length ? 2 : 1;
                bytes.AddRange(Encoding.UTF8.GetBytes(segment, i, length));
                i += length - 1;
            }
            else if (i + 2 < segment.Length && char.IsAsciiHexDigit(segment[i + 1]) && char.IsAsciiHexDigit(segment[i + 2]))
            {
                bytes.Add(Convert.ToByte(segment.Substring(i + 1, 2), 16));
                i += 2;
            }
            else
            {
                throw Refuse("uri_invalid", field, $"{segment} has a % that is no escape; write %25 for a percent sign.");
            }
        }
        string name;
        try
        {
            name = Strict.GetString(bytes.ToArray());
        }
        catch (DecoderFallbackException)
        {
            throw Refuse("uri_invalid", field, $"{segment} is not UTF-8 once its escapes are read.");
        }
        if (name is "." or ".." || name.Contains('/') || name.Contains('\\'))
            throw Refuse("path_outside_roots", field, $"{segment} is not allowed in a path; give the path without it.");
        if (name.Any(char.IsControl))
            throw Refuse("uri_invalid", field, "A control character is not allowed in a path.");
        return name;
    }

    internal static FailureException Refuse(string code, string field, string message) =>
        new(code, $"{field}: {message}", new FieldFailure(field, code, message));
}
