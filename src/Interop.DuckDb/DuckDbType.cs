using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using System.Text;

namespace Interop.DuckDb;

/// <summary><c>duckdb_type</c>.</summary>
[SuppressMessage("Naming", "CA1720", Justification = "The names of the C header.")]
public enum DuckDbTypeId
{
    Invalid = 0,
    Boolean = 1,
    TinyInt = 2,
    SmallInt = 3,
    Integer = 4,
    BigInt = 5,
    UTinyInt = 6,
    USmallInt = 7,
    UInteger = 8,
    UBigInt = 9,
    Float = 10,
    Double = 11,
    Timestamp = 12,
    Date = 13,
    Time = 14,
    Interval = 15,
    HugeInt = 16,
    Varchar = 17,
    Blob = 18,
    Decimal = 19,
    TimestampS = 20,
    TimestampMs = 21,
    TimestampNs = 22,
    Enum = 23,
    List = 24,
    Struct = 25,
    Map = 26,
    Uuid = 27,
    Union = 28,
    Bit = 29,
    TimeTz = 30,
    TimestampTz = 31,
    UHugeInt = 32,
    Array = 33,
    Any = 34,
    Bignum = 35,
    SqlNull = 36,
}

/// <summary>A column's or a function's type.</summary>
/// <param name="Fields">Of a STRUCT, in order; the one field of a LIST; otherwise empty.</param>
public sealed record DuckDbType(DuckDbTypeId Id, IReadOnlyList<DuckDbField> Fields, byte Width = 0, byte Scale = 0)
{
    public static DuckDbType Of(DuckDbTypeId id) => new(id, []);

    public static DuckDbType Struct(params DuckDbField[] fields) => new(DuckDbTypeId.Struct, fields);

    public static DuckDbType List(DuckDbType element) => new(DuckDbTypeId.List, [new("element", element)]);

    /// <summary>From a name as DESCRIBE gives it, for the plain types a model can be fed with or gives.</summary>
    public static DuckDbType? Parse(string name) => name switch
    {
        "BOOLEAN" => Of(DuckDbTypeId.Boolean),
        "TINYINT" => Of(DuckDbTypeId.TinyInt),
        "SMALLINT" => Of(DuckDbTypeId.SmallInt),
        "INTEGER" => Of(DuckDbTypeId.Integer),
        "BIGINT" => Of(DuckDbTypeId.BigInt),
        "UTINYINT" => Of(DuckDbTypeId.UTinyInt),
        "USMALLINT" => Of(DuckDbTypeId.USmallInt),
        "UINTEGER" => Of(DuckDbTypeId.UInteger),
        "UBIGINT" => Of(DuckDbTypeId.UBigInt),
        "FLOAT" => Of(DuckDbTypeId.Float),
        "DOUBLE" => Of(DuckDbTypeId.Double),
        "VARCHAR" => Of(DuckDbTypeId.Varchar),
        _ => null,
    };

    internal unsafe LogicalTypeHandle Create()
    {
        switch (Id)
        {
            case DuckDbTypeId.Decimal:
                return new LogicalTypeHandle(NativeMethods.duckdb_create_decimal_type(Width, Scale));
            case DuckDbTypeId.List:
                using (var element = Fields[0].Type.Create())
                    return new LogicalTypeHandle(NativeMethods.duckdb_create_list_type(element));
            case DuckDbTypeId.Struct:
                return CreateStruct();
            default:
                return new LogicalTypeHandle(NativeMethods.duckdb_create_logical_type((int)Id));
        }
    }

    unsafe LogicalTypeHandle CreateStruct()
    {
        var children = Fields.Select(f => f.Type.Create()).ToArray();
        var names = Fields.Select(f => Encoding.UTF8.GetBytes(f.Name + '\0')).ToArray();
        var pins = names.Select(n => GCHandle.Alloc(n, GCHandleType.Pinned)).ToArray();
        try
        {
            var types = children.Select(c => c.DangerousGetHandle()).ToArray();
            var texts = pins.Select(p => p.AddrOfPinnedObject()).ToArray();
            fixed (nint* type = types)
            fixed (nint* text = texts)
                return new LogicalTypeHandle(NativeMethods.duckdb_create_struct_type(type, (byte**)text, (ulong)types.Length));
        }
        finally
        {
            foreach (var pin in pins)
                pin.Free();
            foreach (var child in children)
                child.Dispose();
        }
    }

    internal static unsafe DuckDbType Read(nint pointer)
    {
        using var handle = new LogicalTypeHandle(pointer);
        var id = (DuckDbTypeId)NativeMethods.duckdb_get_type_id(handle);
        switch (id)
        {
            case DuckDbTypeId.Decimal:
                return new(id, [], NativeMethods.duckdb_decimal_width(handle), NativeMethods.duckdb_decimal_scale(handle));
            case DuckDbTypeId.List:
                return List(Read(NativeMethods.duckdb_list_type_child_type(handle)));
            case DuckDbTypeId.Struct:
                var fields = new DuckDbField[NativeMethods.duckdb_struct_type_child_count(handle)];
                for (var i = 0; i < fields.Length; i++)
                {
                    var name = NativeMethods.duckdb_struct_type_child_name(handle, (ulong)i);
                    fields[i] = new(NativeMethods.Text(name), Read(NativeMethods.duckdb_struct_type_child_type(handle, (ulong)i)));
                    NativeMethods.duckdb_free(name);
                }
                return Struct(fields);
            default:
                return Of(id);
        }
    }
}

public sealed record DuckDbField(string Name, DuckDbType Type);
