using System.Globalization;

namespace Interop.OnnxRuntime;

/// <summary>What a session's allocator counts of the memory of one device.</summary>
/// <param name="Device">The library's own name for it: <c>Cpu</c>, <c>Cuda</c>; with the number behind it where that is not 0: <c>Cuda 1</c>.</param>
/// <param name="HeldBytes">Taken from the device and not given back: weights, what runs use, and what is kept for the next.</param>
/// <param name="LimitBytes">Most that the allocator takes; null for no limit.</param>
public sealed record OnnxMemory(string Device, long HeldBytes, long? LimitBytes)
{
    /// <summary>Of the CPU and of the device that the session's inputs are on. Allocators that count nothing, as WebGPU's, are left out.</summary>
    internal static unsafe IReadOnlyList<OnnxMemory> Read(nint session, int inputs)
    {
        var infos = new nint[inputs + 1];
        fixed (nint* ofInputs = infos)
        {
            if (inputs > 0)
                NativeMethods.Check(NativeMethods.SessionGetMemoryInfoForInputs(session, ofInputs, (nuint)inputs));
        }
        infos[inputs] = Defaults.CpuMemory;
        return [.. infos.Where(info => info != 0).Select(info => (Info: info, Device: Name(info))).DistinctBy(one => one.Device)
            .Select(one => Read(session, one.Info, one.Device)).OfType<OnnxMemory>()];
    }

    static unsafe OnnxMemory? Read(nint session, nint info, string device)
    {
        nint allocator = 0, pairs = 0;
        try
        {
            NativeMethods.Check(NativeMethods.CreateAllocator(session, info, &allocator));
            NativeMethods.Check(NativeMethods.AllocatorGetStats(allocator, &pairs));
            byte** keys;
            byte** values;
            nuint count;
            NativeMethods.GetKeyValuePairs(pairs, &keys, &values, &count);
            long? held = null, limit = null;
            for (nuint i = 0; i < count; i++)
            {
                // It writes "no limit" as -1, or as the largest number there is.
                if (!long.TryParse(NativeMethods.Text(values[i]), CultureInfo.InvariantCulture, out var number) || number is < 0 or long.MaxValue)
                    continue;
                switch (NativeMethods.Text(keys[i]))
                {
                    case "TotalAllocated":
                        held = number;
                        break;
                    case "Limit" when number > 0:
                        limit = number;
                        break;
                }
            }
            return held is { } bytes ? new OnnxMemory(device, bytes, limit) : null;
        }
        finally
        {
            if (pairs != 0)
                NativeMethods.Release(Slot.ReleaseKeyValuePairs, pairs);
            if (allocator != 0)
                NativeMethods.Release(Slot.ReleaseAllocator, allocator);
        }
    }

    static unsafe string Name(nint info)
    {
        byte* name;
        int id;
        NativeMethods.Check(NativeMethods.MemoryInfoGetName(info, &name));
        NativeMethods.Check(NativeMethods.MemoryInfoGetId(info, &id));
        return id == 0 ? NativeMethods.Text(name) : $"{NativeMethods.Text(name)} {id}";
    }
}
