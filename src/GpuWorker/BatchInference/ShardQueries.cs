using Artifacts.Tabular;
using Contracts;
using Contracts.BatchInference;
using Interop.DuckDb;

namespace GpuWorker.BatchInference;

/// <summary>The SQL of one shard.</summary>
sealed class ShardQueries(ScoreShard shard, string path, IReadOnlyDictionary<string, string> columnTypes, long rowsOfFile)
{
    const string RowNumber = "file_row_number";

    /// <summary>Writes keys and outputs of the rows that can be scored.</summary>
    public string WriteScores(ScoringPlan plan, string score, string target)
    {
        var keys = Keys().ToArray();
        var outputs = plan.Columns.Select((c, i) => $"{(plan.IsStruct ? $"s.c{i}" : "s")} AS {DuckDbSql.Identifier(c.Name)}");
        var inner = keys.Select((k, i) => $"{k.Value} AS k{i}").Append($"{score} AS s").Concat(keys.Where(k => k.IsBad is not null).Select((k, i) => $"{k.IsBad} AS b{i}"));
        var good = keys.Where(k => k.IsBad is not null).Select((_, i) => $"NOT b{i}").Prepend("s IS NOT NULL");
        // Two levels: the function is volatile, so the filter stays above it and each row is scored once.
        return $"""
            COPY (SELECT {string.Join(", ", keys.Select((k, i) => $"k{i} AS {DuckDbSql.Identifier(k.Name)}").Concat(outputs))}
                  FROM (SELECT {string.Join(", ", inner)} FROM {Rows(onlyWhole: true)})
                  WHERE {string.Join(" AND ", good)})
            TO {DuckDbSql.Literal(target)} ({OutputOptions(shard.OutputFormat)})
            """;
    }

    /// <summary>Writes key, place and reason of the rows that cannot be.</summary>
    /// <param name="fault">SQL that is NULL for a good row.</param>
    public string WriteQuarantine(string fault, string target)
    {
        var keys = Keys().ToArray();
        var keyFaults = keys.Where(k => k.IsBad is not null)
            .Select(k => $"CASE WHEN {k.IsBad} THEN {DuckDbSql.Literal($"{k.Name} is not a {k.Type}: ")} || left({k.Text}, 64) END");
        var malformed = HasMalformed ? $"{TabularInput.MalformedColumn}, " : "";
        var reason = $"coalesce({malformed}nullif(concat_ws('; ', {string.Join(", ", keyFaults.Prepend(fault))}), ''))";
        var taken = shard.KeyColumns.ToHashSet(StringComparer.OrdinalIgnoreCase);
        var columns = shard.KeyColumns.Select((k, i) => $"k{i} AS {DuckDbSql.Identifier(k)}")
            .Append($"{DuckDbSql.Literal(shard.Range.Source)} AS {Free("file")}")
            .Append($"r + 1 AS {Free("record")}")
            .Append($"reason AS {Free("reason")}");
        var inner = keys.Where(_ => shard.KeyColumns.Count > 0).Select((k, i) => $"{k.Text} AS k{i}")
            .Append($"{RowNumber} AS r")
            .Append($"{reason} AS reason");
        return $"""
            COPY (SELECT {string.Join(", ", columns)}
                  FROM (SELECT {string.Join(", ", inner)} FROM {Rows(onlyWhole: false)})
                  WHERE reason IS NOT NULL)
            TO {DuckDbSql.Literal(target)} (FORMAT parquet)
            """;

        string Free(string name)
        {
            while (!taken.Add(name))
                name = '_' + name;
            return name;
        }
    }

    /// <summary>Reads what scoring reads and nothing else: tells a damaged file from another fault.</summary>
    // Not a count: statistics would answer that without reading a page.
    public string ReadAll(ScoringPlan plan) =>
        $"SELECT bit_xor(hash({string.Join(", ", plan.Arguments.Select(a => a.Column).Concat(shard.KeyColumns).Distinct().Select(DuckDbSql.Identifier))})) FROM {Rows(onlyWhole: false)}";

    bool HasMalformed => shard.Converted && columnTypes.ContainsKey(TabularInput.MalformedColumn);

    string Rows(bool onlyWhole)
    {
        var conditions = new List<string>();
        if (shard.Range.FirstRow > 0 || shard.Range.Rows < rowsOfFile)
            conditions.Add($"{RowNumber} >= {shard.Range.FirstRow} AND {RowNumber} < {shard.Range.FirstRow + shard.Range.Rows}");
        if (onlyWhole && HasMalformed)
            conditions.Add($"{TabularInput.MalformedColumn} IS NULL");
        var where = conditions.Count > 0 ? $" WHERE {string.Join(" AND ", conditions)}" : "";
        return $"read_parquet({DuckDbSql.PathLiteral(path)}, hive_partitioning=false){where}";
    }

    IEnumerable<KeyColumn> Keys()
    {
        if (shard.KeyColumns.Count == 0)
        {
            yield return new("file", "VARCHAR", DuckDbSql.Literal(shard.Range.Source), DuckDbSql.Literal(shard.Range.Source), null);
            yield return new("record", "BIGINT", $"{RowNumber} + 1", $"{RowNumber} + 1", null);
        }
        for (var i = 0; i < shard.KeyColumns.Count; i++)
        {
            var name = shard.KeyColumns[i];
            if (!columnTypes.TryGetValue(name, out var type))
                throw new FailureException("key_column_missing", $"The key column {name} is not in the file any more; submit the job again.", new FieldFailure($"columns.{name}", "key_column_missing", "Not in the file."));
            var column = DuckDbSql.Identifier(name);
            var wanted = i < shard.KeyTypes.Count ? shard.KeyTypes[i] : type;
            yield return wanted == type
                ? new(name, type, column, $"CAST({column} AS VARCHAR)", null)
                : new(name, wanted, $"TRY_CAST({column} AS {wanted})", $"CAST({column} AS VARCHAR)", $"({column} IS NOT NULL AND TRY_CAST({column} AS {wanted}) IS NULL)");
        }
    }

    static string OutputOptions(string format) => format switch
    {
        TabularFormat.Parquet => "FORMAT parquet",
        TabularFormat.Csv => "FORMAT csv, HEADER true",
        TabularFormat.NdJson => "FORMAT json",
        _ => throw new FailureException("format_unknown", $"{format} is not an output format; use parquet, csv or ndjson."),
    };

    sealed record KeyColumn(string Name, string Type, string Value, string Text, string? IsBad);
}
