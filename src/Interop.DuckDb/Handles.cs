using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Interop.DuckDb;

sealed class ConfigHandle : SafeHandleZeroOrMinusOneIsInvalid
{
    internal ConfigHandle(nint pointer) : base(ownsHandle: true) => SetHandle(pointer);

    internal nint Pointer => handle;

    protected override bool ReleaseHandle()
    {
        NativeMethods.duckdb_destroy_config(ref handle);
        return true;
    }
}

sealed class DatabaseHandle : SafeHandleZeroOrMinusOneIsInvalid
{
    internal DatabaseHandle(nint pointer) : base(ownsHandle: true) => SetHandle(pointer);

    protected override bool ReleaseHandle()
    {
        NativeMethods.duckdb_close(ref handle);
        return true;
    }
}

sealed class ConnectionHandle : SafeHandleZeroOrMinusOneIsInvalid
{
    internal ConnectionHandle(nint pointer) : base(ownsHandle: true) => SetHandle(pointer);

    protected override bool ReleaseHandle()
    {
        NativeMethods.duckdb_disconnect(ref handle);
        return true;
    }
}

sealed class PreparedHandle : SafeHandleZeroOrMinusOneIsInvalid
{
    internal PreparedHandle(nint pointer) : base(ownsHandle: true) => SetHandle(pointer);

    protected override bool ReleaseHandle()
    {
        NativeMethods.duckdb_destroy_prepare(ref handle);
        return true;
    }
}

sealed class LogicalTypeHandle : SafeHandleZeroOrMinusOneIsInvalid
{
    internal LogicalTypeHandle(nint pointer) : base(ownsHandle: true) => SetHandle(pointer);

    protected override bool ReleaseHandle()
    {
        NativeMethods.duckdb_destroy_logical_type(ref handle);
        return true;
    }
}

sealed class ScalarFunctionHandle : SafeHandleZeroOrMinusOneIsInvalid
{
    internal ScalarFunctionHandle(nint pointer) : base(ownsHandle: true) => SetHandle(pointer);

    protected override bool ReleaseHandle()
    {
        NativeMethods.duckdb_destroy_scalar_function(ref handle);
        return true;
    }
}

sealed class ChunkHandle : SafeHandleZeroOrMinusOneIsInvalid
{
    internal ChunkHandle(nint pointer) : base(ownsHandle: true) => SetHandle(pointer);

    internal nint Pointer => handle;

    protected override bool ReleaseHandle()
    {
        NativeMethods.duckdb_destroy_data_chunk(ref handle);
        return true;
    }
}

/// <summary>Owns the memory of a <c>duckdb_result</c>, not only what it points to.</summary>
sealed unsafe class ResultHandle : SafeHandleZeroOrMinusOneIsInvalid
{
    internal ResultHandle() : base(ownsHandle: true) =>
        SetHandle((nint)NativeMemory.AllocZeroed((nuint)sizeof(NativeResult)));

    internal NativeResult* Pointer => (NativeResult*)handle;

    protected override bool ReleaseHandle()
    {
        NativeMethods.duckdb_destroy_result((NativeResult*)handle);
        NativeMemory.Free((void*)handle);
        return true;
    }
}
