using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Interop.DuckDb;

/// <summary>Up to 2048 rows. Lives as long as what it was taken from.</summary>
public readonly unsafe struct DuckDbColumns
{
    readonly nint chunk;

    internal DuckDbColumns(nint chunk)
    {
        this.chunk = chunk;
        Rows = (int)NativeMethods.duckdb_data_chunk_get_size(chunk);
        Count = (int)NativeMethods.duckdb_data_chunk_get_column_count(chunk);
    }

    public int Rows { get; }

    public int Count { get; }

    public DuckDbColumn this[int column] => new(NativeMethods.duckdb_data_chunk_get_vector(chunk, (ulong)column), Rows);
}

/// <summary>One flat vector: native memory, without a copy. Writing is for outputs of scalar functions only.</summary>
public readonly unsafe struct DuckDbColumn
{
    const int InlinedBytes = 12;

    readonly nint vector;
    readonly void* data;
    readonly ulong* validity;

    internal DuckDbColumn(nint vector, int rows)
    {
        this.vector = vector;
        Rows = rows;
        data = NativeMethods.duckdb_vector_get_data(vector);
        validity = NativeMethods.duckdb_vector_get_validity(vector);
    }

    public int Rows { get; }

    /// <summary>False says that no row is NULL; true that some may be.</summary>
    public bool MayHaveNulls => validity != null;

    /// <summary>One bit a row, 1 for a value; empty when all are valid.</summary>
    public ReadOnlySpan<ulong> Validity => validity == null ? [] : new ReadOnlySpan<ulong>(validity, (Rows + 63) / 64);

    /// <summary>Where the values lie.</summary>
    public void* Data => data;

    /// <summary>The values; those of NULL rows are garbage. <typeparamref name="T"/> has the size of the column's type.</summary>
    public Span<T> Values<T>() where T : unmanaged => new(data, Rows);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool IsNull(int row) => validity != null && (validity[row >> 6] >> row & 1) == 0;

    /// <summary>Whether any of the first rows is NULL.</summary>
    public bool HasNulls(int rows)
    {
        if (validity == null)
            return false;
        var whole = rows >> 6;
        for (var word = 0; word < whole; word++)
        {
            if (validity[word] != ulong.MaxValue)
                return true;
        }
        return (rows & 63) != 0 && ~validity[whole] << (64 - (rows & 63)) != 0;
    }

    /// <summary>Text or blob of a row that is not NULL.</summary>
    public ReadOnlySpan<byte> Utf8(int row)
    {
        var text = (byte*)data + ((long)row << 4);
        var length = *(int*)text;
        return new ReadOnlySpan<byte>(length <= InlinedBytes ? text + 4 : *(byte**)(text + 8), length);
    }

    /// <summary>A field of a STRUCT vector.</summary>
    public DuckDbColumn Child(int field) => new(NativeMethods.duckdb_struct_vector_get_child(vector, (ulong)field), Rows);

    /// <summary>All elements of a LIST vector, of all rows; a row's own are given by <see cref="ListEntry"/>.</summary>
    public DuckDbColumn Elements() =>
        new(NativeMethods.duckdb_list_vector_get_child(vector), (int)NativeMethods.duckdb_list_vector_get_size(vector));

    public (int Offset, int Length) ListEntry(int row)
    {
        var entry = (ulong*)data + 2L * row;
        return ((int)entry[0], (int)entry[1]);
    }

    /// <summary>Makes a row of an output NULL. The first call gives the vector a validity mask.</summary>
    public void SetNull(int row)
    {
        NativeMethods.duckdb_vector_ensure_validity_writable(vector);
        NativeMethods.duckdb_vector_get_validity(vector)[row >> 6] &= ~(1UL << row);
    }

    /// <summary>Text of a row of an output. Short text is written in place, longer text is copied to the vector's heap.</summary>
    public void SetUtf8(int row, ReadOnlySpan<byte> text)
    {
        if (text.Length > InlinedBytes)
        {
            fixed (byte* start = text)
                NativeMethods.duckdb_vector_assign_string_element_len(vector, (ulong)row, start, (ulong)text.Length);
            return;
        }
        var target = new Span<byte>((byte*)data + ((long)row << 4), 16);
        target.Clear();
        MemoryMarshal.Write(target, text.Length);
        text.CopyTo(target[4..]);
    }
}
