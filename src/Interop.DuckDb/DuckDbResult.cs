using System.Numerics;
using System.Text;

namespace Interop.DuckDb;

/// <summary>A finished query's rows, read chunk by chunk, once.</summary>
public sealed unsafe class DuckDbResult : IDisposable
{
    readonly ResultHandle handle;
    ChunkHandle? current;

    internal DuckDbResult(ResultHandle handle)
    {
        this.handle = handle;
        var result = handle.Pointer;
        var fields = new DuckDbField[NativeMethods.duckdb_column_count(result)];
        for (var i = 0; i < fields.Length; i++)
        {
            var type = DuckDbType.Read(NativeMethods.duckdb_column_logical_type(result, (ulong)i));
            fields[i] = new(NativeMethods.Text(NativeMethods.duckdb_column_name(result, (ulong)i)), type);
        }
        Fields = fields;
        RowsChanged = (long)NativeMethods.duckdb_rows_changed(result);
    }

    public IReadOnlyList<DuckDbField> Fields { get; }

    /// <summary>Rows inserted, changed, or written by COPY.</summary>
    public long RowsChanged { get; }

    /// <summary>The next rows; false when there are none. What was given before is no longer valid.</summary>
    public bool Read(out DuckDbColumns columns)
    {
        current?.Dispose();
        current = null;
        var pointer = NativeMethods.duckdb_fetch_chunk(*handle.Pointer);
        if (pointer == 0)
        {
            columns = default;
            var error = NativeMethods.Text(NativeMethods.duckdb_result_error(handle.Pointer));
            return error.Length == 0
                ? false
                : throw new DuckDbException(error, (DuckDbErrorKind)NativeMethods.duckdb_result_error_type(handle.Pointer));
        }
        current = new ChunkHandle(pointer);
        columns = new DuckDbColumns(pointer);
        return true;
    }

    /// <summary>The remaining rows as objects: for small results, never on a hot path.</summary>
    public IReadOnlyList<object?[]> Rows()
    {
        var rows = new List<object?[]>();
        while (Read(out var columns))
        {
            for (var row = 0; row < columns.Rows; row++)
            {
                var values = new object?[Fields.Count];
                for (var i = 0; i < values.Length; i++)
                    values[i] = Value(columns[i], Fields[i].Type, row);
                rows.Add(values);
            }
        }
        return rows;
    }

    public void Dispose()
    {
        current?.Dispose();
        handle.Dispose();
    }

    static object? Value(DuckDbColumn column, DuckDbType type, int row)
    {
        if (column.IsNull(row))
            return null;
        switch (type.Id)
        {
            case DuckDbTypeId.Boolean: return column.Values<byte>()[row] != 0;
            case DuckDbTypeId.TinyInt: return column.Values<sbyte>()[row];
            case DuckDbTypeId.SmallInt: return column.Values<short>()[row];
            case DuckDbTypeId.Integer: return column.Values<int>()[row];
            case DuckDbTypeId.BigInt: return column.Values<long>()[row];
            case DuckDbTypeId.UTinyInt: return column.Values<byte>()[row];
            case DuckDbTypeId.USmallInt: return column.Values<ushort>()[row];
            case DuckDbTypeId.UInteger: return column.Values<uint>()[row];
            case DuckDbTypeId.UBigInt: return column.Values<ulong>()[row];
            case DuckDbTypeId.HugeInt: return column.Values<Int128>()[row];
            case DuckDbTypeId.UHugeInt: return column.Values<UInt128>()[row];
            case DuckDbTypeId.Float: return column.Values<float>()[row];
            case DuckDbTypeId.Double: return column.Values<double>()[row];
            case DuckDbTypeId.Varchar: return Encoding.UTF8.GetString(column.Utf8(row));
            case DuckDbTypeId.Blob: return column.Utf8(row).ToArray();
            case DuckDbTypeId.Date: return DateOnly.FromDayNumber(DateOnly.FromDateTime(DateTime.UnixEpoch).DayNumber + column.Values<int>()[row]);
            case DuckDbTypeId.Timestamp or DuckDbTypeId.TimestampTz: return DateTime.UnixEpoch.AddMicroseconds(column.Values<long>()[row]);
            case DuckDbTypeId.Decimal: return Decimal(column, type, row);
            case DuckDbTypeId.Struct:
                return type.Fields.Select((field, i) => KeyValuePair.Create(field.Name, Value(column.Child(i), field.Type, row))).ToDictionary();
            case DuckDbTypeId.List:
                var (offset, length) = column.ListEntry(row);
                var elements = column.Elements();
                return Enumerable.Range(offset, length).Select(i => Value(elements, type.Fields[0].Type, i)).ToArray();
            default:
                throw new NotSupportedException($"A {type.Id} is not read as an object; cast it in the query.");
        }
    }

    static decimal Decimal(DuckDbColumn column, DuckDbType type, int row)
    {
        BigInteger unscaled = type.Width switch
        {
            <= 4 => column.Values<short>()[row],
            <= 9 => column.Values<int>()[row],
            <= 18 => column.Values<long>()[row],
            _ => (BigInteger)column.Values<Int128>()[row],
        };
        return (decimal)unscaled / (decimal)BigInteger.Pow(10, type.Scale);
    }
}
