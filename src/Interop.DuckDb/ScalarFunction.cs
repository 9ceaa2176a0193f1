using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Interop.DuckDb;

/// <summary>Computes a whole vector. Called by several threads at once; allocate nothing per row.</summary>
/// <param name="input">The arguments. NULLs are in it: DuckDB does not propagate them.</param>
/// <param name="output">As many rows as <paramref name="input"/>; every one must be written.</param>
public delegate void ScalarFunctionBody(DuckDbColumns input, DuckDbColumn output);

/// <summary>A function of ours inside DuckDB. What its body throws fails the query, and comes out as the inner exception.</summary>
/// <param name="isVolatile">DuckDB neither folds, merges, repeats nor moves calls of it.</param>
public sealed unsafe class ScalarFunction(
    string name, IReadOnlyList<DuckDbType> parameters, DuckDbType result, ScalarFunctionBody body, bool isVolatile = true)
{
    Exception? failure;

    public string Name => name;

    internal Exception? TakeFailure() => Interlocked.Exchange(ref failure, null);

    internal void Register(ConnectionHandle connection)
    {
        using var function = new ScalarFunctionHandle(NativeMethods.duckdb_create_scalar_function());
        NativeMethods.duckdb_scalar_function_set_name(function, name);
        foreach (var parameter in parameters)
        {
            using var type = parameter.Create();
            NativeMethods.duckdb_scalar_function_add_parameter(function, type);
        }
        using (var type = result.Create())
            NativeMethods.duckdb_scalar_function_set_return_type(function, type);

        // Otherwise a NULL constant among the arguments makes the call NULL without asking.
        NativeMethods.duckdb_scalar_function_set_special_handling(function);
        if (isVolatile)
            NativeMethods.duckdb_scalar_function_set_volatile(function);

        // DuckDB frees the handle when the function goes: with the database, or at once when it is refused.
        var self = GCHandle.ToIntPtr(GCHandle.Alloc(this));
        NativeMethods.duckdb_scalar_function_set_extra_info(function, self, &Free);
        NativeMethods.duckdb_scalar_function_set_function(function, &Invoke);
        if (NativeMethods.duckdb_register_scalar_function(connection, function) != NativeMethods.Success)
            throw new DuckDbException($"DuckDB refuses the function {name}: a name that is taken, or a type it does not know.");
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    static void Invoke(nint info, nint chunk, nint output)
    {
        ScalarFunction? function = null;
        try
        {
            function = (ScalarFunction)GCHandle.FromIntPtr(NativeMethods.duckdb_scalar_function_get_extra_info(info)).Target!;
            var input = new DuckDbColumns(chunk);
            function.Call(input, new DuckDbColumn(output, input.Rows));
        }
        catch (Exception e)
        {
            // Nothing may cross native frames: the runtime would end the process.
            if (function is not null)
                Interlocked.CompareExchange(ref function.failure, e, null);
            NativeMethods.duckdb_scalar_function_set_error(info, e.Message.Replace('\0', ' '));
        }
    }

    void Call(DuckDbColumns input, DuckDbColumn output) => body(input, output);

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    static void Free(nint self) => GCHandle.FromIntPtr(self).Free();
}
