namespace Artifacts.Tabular;

/// <summary>Which column types may feed which tensor elements. What may lose something is refused; what a row may break is checked row by row.</summary>
public static class ColumnConversion
{
    static readonly string[] Integers = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"];
    static readonly string[] Fractions = ["float16", "bfloat16", "float", "double"];

    public static bool IsElementType(string element) =>
        element is "bool" or "string" || Integers.Contains(element) || Fractions.Contains(element);

    /// <summary>Null when allowed; else why not.</summary>
    /// <param name="type">DuckDB's name, or what a text sample looks like.</param>
    /// <param name="element">As ONNX spells it: <c>float</c>, <c>int64</c>, <c>string</c>.</param>
    public static string? Refusal(string type, bool isText, string element)
    {
        if (element == "string")
            return isText || type is "VARCHAR" ? null : "only text feeds text";
        if (isText)
            return type == "VARCHAR" ? "no value of it is a number" : null;
        if (type == "BOOLEAN")
            return null;
        if (element == "bool")
            return "only BOOLEAN feeds bool";
        if (IsInteger(type))
            return null;
        if (Fractions.Contains(element))
            return type is "FLOAT" or "DOUBLE" || type.StartsWith("DECIMAL(", StringComparison.Ordinal) ? null : "it is not a number";
        return type is "FLOAT" or "DOUBLE" || type.StartsWith("DECIMAL(", StringComparison.Ordinal)
            ? "a fraction would be lost"
            : "it is not a number";
    }

    static bool IsInteger(string type) => type is
        "TINYINT" or "SMALLINT" or "INTEGER" or "BIGINT" or "HUGEINT" or
        "UTINYINT" or "USMALLINT" or "UINTEGER" or "UBIGINT" or "UHUGEINT" ||
        type.StartsWith("DECIMAL(", StringComparison.Ordinal) && type.EndsWith(",0)", StringComparison.Ordinal);
}
