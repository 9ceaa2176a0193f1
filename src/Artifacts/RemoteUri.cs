using System.Text.RegularExpressions;
using Contracts;

namespace Artifacts;

/// <summary>
/// <c>az://container/name</c>, <c>https://host/path</c> or <c>http://host/path</c>, taken apart by hand: <see cref="Uri"/> folds <c>..</c>
/// away before anybody sees it.
/// </summary>
/// <param name="Scheme">In small letters.</param>
/// <param name="Authority">In small letters, without a default port. Of <c>az</c> it is the container.</param>
/// <param name="Segments">As the caller wrote them: a glob's letters and escaped ones are different things.</param>
/// <param name="IsFolder">It ends with a slash.</param>
public sealed partial record RemoteUri(string Scheme, string Authority, IReadOnlyList<string> Segments, bool IsFolder)
{
    public const string Blob = "az";

    /// <summary>Whether it is one of these, right or wrong. All others are <see cref="FileUri"/>'s to judge.</summary>
    public static bool Is(string uri) =>
        uri.IndexOf("://", StringComparison.Ordinal) is >= 0 and var end && uri[..end].ToLowerInvariant() is Blob or "http" or "https";

    /// <summary>Refuses credentials in a URI. Nothing of it is repeated: they may be anywhere in it.</summary>
    /// <exception cref="FailureException">It has a query or user info.</exception>
    public static void RequireNoCredentials(string uri, string field)
    {
        if (!Is(uri))
            return;
        var rest = uri[(uri.IndexOf("://", StringComparison.Ordinal) + 3)..];
        var query = rest.IndexOf('?');
        if ((query < 0 ? rest : rest[..query]).Split('/')[0].Contains('@'))
            throw FileUri.Refuse("uri_credentials_not_allowed", field, "It has user info before the host. No credentials are taken from a URI: the operator configures them.");
        if (query >= 0)
            throw FileUri.Refuse("uri_query_not_allowed", field,
                "It has a query, such as a SAS token. No credentials are taken from a URI: the operator configures them. A glob is written with * and [ ].");
    }

    /// <exception cref="FailureException">It has credentials, or is no such URI.</exception>
    public static RemoteUri Parse(string uri, string field)
    {
        RequireNoCredentials(uri, field);
        var end = uri.IndexOf("://", StringComparison.Ordinal);
        var scheme = uri[..end].ToLowerInvariant();
        var rest = uri[(end + 3)..];
        if (rest.Contains('#'))
            throw FileUri.Refuse("uri_invalid", field, "It has a fragment; write %23 for a number sign.");
        var slash = rest.IndexOf('/');
        var authority = (slash < 0 ? rest : rest[..slash]).ToLowerInvariant();
        if (!AuthorityForm().IsMatch(authority))
            throw FileUri.Refuse("uri_invalid", field, "What follows :// names no host or container.");
        var path = slash < 0 ? "" : rest[(slash + 1)..];
        var isFolder = path.Length == 0 || path.EndsWith('/');
        string[] segments = path.Length == 0 ? [] : path.TrimEnd('/').Split('/');
        if (segments.Contains("") || path.EndsWith("//", StringComparison.Ordinal))
            throw FileUri.Refuse("uri_invalid", field, "It has an empty name between two slashes.");
        return new RemoteUri(scheme, WithoutDefaultPort(scheme, authority), segments, isFolder);
    }

    static string WithoutDefaultPort(string scheme, string authority) => scheme switch
    {
        "https" when authority.EndsWith(":443", StringComparison.Ordinal) => authority[..^4],
        "http" when authority.EndsWith(":80", StringComparison.Ordinal) => authority[..^3],
        _ => authority,
    };

    [GeneratedRegex(@"\A([a-z0-9$][a-z0-9.-]{0,252}|\[[0-9a-f:.]{2,45}\])(:[0-9]{1,5})?\z")]
    private static partial Regex AuthorityForm();
}
