using System.Runtime.InteropServices;

namespace Interop.DuckDb;

// One partial per chapter of duckdb.h. Functions keep their C names; nothing here decides anything.
static unsafe partial class NativeMethods
{
    const string Library = "duckdb";

    internal const int Success = 0;

    [LibraryImport(Library)]
    internal static partial byte* duckdb_library_version();

    [LibraryImport(Library)]
    internal static partial ulong duckdb_vector_size();

    [LibraryImport(Library)]
    internal static partial void duckdb_free(void* pointer);

    internal static string Text(byte* utf8) => Marshal.PtrToStringUTF8((nint)utf8) ?? "";
}
