namespace Interop.OnnxRuntime;

/// <summary>Values for a model's overridable initializers, from an <c>.onnx_adapter</c> file.</summary>
public sealed unsafe class OnnxLoraAdapter : IDisposable
{
    OnnxLoraAdapter(nint adapter) => Handle = new LoraAdapterHandle(adapter);

    internal LoraAdapterHandle Handle { get; }

    public static OnnxLoraAdapter FromFile(string path)
    {
        OnnxLibrary.RequireLoaded();
        nint adapter;
        fixed (byte* pathBytes = NativeMethods.Utf8(Path.GetFullPath(path)))
            NativeMethods.Check(NativeMethods.CreateLoraAdapter(pathBytes, 0, &adapter));
        return new OnnxLoraAdapter(adapter);
    }

    public static OnnxLoraAdapter FromBytes(ReadOnlySpan<byte> bytes)
    {
        OnnxLibrary.RequireLoaded();
        nint adapter;
        fixed (byte* pointer = bytes)
            NativeMethods.Check(NativeMethods.CreateLoraAdapterFromArray(pointer, (nuint)bytes.Length, 0, &adapter));
        return new OnnxLoraAdapter(adapter);
    }

    public void Dispose() => Handle.Dispose();
}
