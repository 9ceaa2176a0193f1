using System.IO.Enumeration;

namespace Artifacts;

/// <summary>One name of a glob: <c>*</c> any text, <c>?</c> any letter, <c>[…]</c> one of these.</summary>
static class NamePattern
{
    public static bool IsPattern(string name) => name.AsSpan().IndexOfAny("*?[") >= 0;

    public static bool Matches(string pattern, string name)
    {
        if (!pattern.Contains('['))
            return FileSystemName.MatchesSimpleExpression(pattern, name, ignoreCase: false);
        return Matches(pattern.AsSpan(), name.AsSpan());
    }

    static bool Matches(ReadOnlySpan<char> pattern, ReadOnlySpan<char> name)
    {
        while (pattern.Length > 0)
        {
            if (pattern[0] == '*')
            {
                for (var skip = 0; skip <= name.Length; skip++)
                {
                    if (Matches(pattern[1..], name[skip..]))
                        return true;
                }
                return false;
            }
            if (name.Length == 0)
                return false;
            var close = pattern[0] == '[' ? pattern[1..].IndexOf(']') : -1;
            if (close > 0)
            {
                if (!InSet(pattern.Slice(1, close), name[0]))
                    return false;
                pattern = pattern[(close + 2)..];
            }
            else
            {
                if (pattern[0] != '?' && pattern[0] != name[0])
                    return false;
                pattern = pattern[1..];
            }
            name = name[1..];
        }
        return name.Length == 0;
    }

    static bool InSet(ReadOnlySpan<char> set, char letter)
    {
        for (var i = 0; i < set.Length; i++)
        {
            if (i + 2 < set.Length && set[i + 1] == '-')
            {
                if (letter >= set[i] && letter <= set[i + 2])
                    return true;
                i += 2;
            }
            else if (set[i] == letter)
            {
                return true;
            }
        }
        return false;
    }
}
