using System.Text.RegularExpressions;

namespace Contracts;

/// <summary>What a tenant may be called. It is part of paths, ids and settings, so there is one way to write it.</summary>
public static partial class TenantName
{
    public const string Rule = "1 to 64 lower-case letters, digits or dashes, the first of them a letter or digit";

    public static bool IsValid(string text) => Form().IsMatch(text);

    [GeneratedRegex(@"\A[a-z0-9][a-z0-9-]{0,63}\z", RegexOptions.CultureInvariant)]
    private static partial Regex Form();
}
