namespace Interop.DuckDb;

/// <summary>Quoting. Everything that is not a constant of the program goes through here or through a parameter.</summary>
public static class DuckDbSql
{
    /// <summary><c>"name"</c>, whatever is in the name.</summary>
    public static string Identifier(string name) => Quote(name, '"');

    /// <summary><c>'text'</c>.</summary>
    public static string Literal(string text) => Quote(text, '\'');

    /// <summary>
    /// A path for <c>read_parquet</c> and its like, as a literal. They take it for a glob, so its own special letters are escaped.
    /// </summary>
    public static string PathLiteral(string path)
    {
        if (path.AsSpan().IndexOfAny("*?[") < 0)
            return Literal(path);
        return Literal(path.Replace("[", "[[]").Replace("*", "[*]").Replace("?", "[?]"));
    }

    // SQL goes to DuckDB as a C string: a NUL would cut it in the middle of a literal.
    static string Quote(string text, char mark) =>
        text.Contains('\0')
            ? throw new ArgumentException("A NUL cannot be part of a name or literal.", nameof(text))
            : $"{mark}{text.Replace(mark.ToString(), new string(mark, 2))}{mark}";
}
