using System.Runtime.InteropServices;

namespace Interop.OnnxRuntime;

static class Slot
{
    internal const int ReleaseEnv = 92;
    internal const int ReleaseStatus = 93;
    internal const int ReleaseMemoryInfo = 94;
    internal const int ReleaseSession = 95;
    internal const int ReleaseValue = 96;
    internal const int ReleaseRunOptions = 97;
    internal const int ReleaseTypeInfo = 98;
    internal const int ReleaseTensorTypeAndShapeInfo = 99;
    internal const int ReleaseSessionOptions = 100;
    internal const int ReleaseModelMetadata = 118;
    internal const int ReleaseAllocator = 132;
    internal const int ReleaseIoBinding = 135;
    internal const int ReleaseArenaCfg = 157;
    internal const int ReleaseTensorRTProviderOptions = 174;
    internal const int ReleaseCUDAProviderOptions = 208;
    internal const int ReleaseLoraAdapter = 282;
    internal const int ReleaseKeyValuePairs = 300;
}

/// <summary>An object of the library that we own. <paramref name="releaseSlot"/> is its ReleaseX function.</summary>
abstract class OwnedHandle : SafeHandle
{
    readonly int releaseSlot;

    protected OwnedHandle(nint pointer, int releaseSlot) : base(0, ownsHandle: true)
    {
        this.releaseSlot = releaseSlot;
        SetHandle(pointer);
    }

    public override bool IsInvalid => handle == 0;

    protected override bool ReleaseHandle()
    {
        NativeMethods.Release(releaseSlot, handle);
        return true;
    }

    /// <summary>The pointer, which is not released before the result is disposed: a Dispose on another thread waits its turn.</summary>
    internal Borrowed Borrow() => new(this);
}

/// <summary>Keeps its parent alive until it has been released itself, whatever the order of disposal or finalization.</summary>
abstract class ChildHandle : OwnedHandle
{
    readonly OwnedHandle parent;

    protected ChildHandle(nint pointer, int releaseSlot, OwnedHandle parent) : base(pointer, releaseSlot)
    {
        var added = false;
        parent.DangerousAddRef(ref added);
        this.parent = parent;
    }

    protected override bool ReleaseHandle()
    {
        base.ReleaseHandle();
        parent.DangerousRelease();
        return true;
    }
}

sealed class EnvHandle(nint pointer) : OwnedHandle(pointer, Slot.ReleaseEnv);

sealed class SessionOptionsHandle(nint pointer) : OwnedHandle(pointer, Slot.ReleaseSessionOptions);

sealed class SessionHandle(nint pointer, EnvHandle env) : ChildHandle(pointer, Slot.ReleaseSession, env);

sealed class RunOptionsHandle(nint pointer) : OwnedHandle(pointer, Slot.ReleaseRunOptions);

sealed class ValueHandle(nint pointer) : OwnedHandle(pointer, Slot.ReleaseValue);

sealed class TypeInfoHandle(nint pointer) : OwnedHandle(pointer, Slot.ReleaseTypeInfo);

sealed class TensorInfoHandle(nint pointer) : OwnedHandle(pointer, Slot.ReleaseTensorTypeAndShapeInfo);

sealed class MetadataHandle(nint pointer) : OwnedHandle(pointer, Slot.ReleaseModelMetadata);

sealed class IoBindingHandle(nint pointer, SessionHandle session) : ChildHandle(pointer, Slot.ReleaseIoBinding, session);

sealed class CudaOptionsHandle(nint pointer) : OwnedHandle(pointer, Slot.ReleaseCUDAProviderOptions);

sealed class TensorRtOptionsHandle(nint pointer) : OwnedHandle(pointer, Slot.ReleaseTensorRTProviderOptions);

sealed class LoraAdapterHandle(nint pointer) : OwnedHandle(pointer, Slot.ReleaseLoraAdapter);

readonly ref struct Borrowed
{
    readonly OwnedHandle owner;

    internal Borrowed(OwnedHandle owner)
    {
        var added = false;
        owner.DangerousAddRef(ref added);
        this.owner = owner;
        Pointer = owner.DangerousGetHandle();
    }

    internal nint Pointer { get; }

    public void Dispose() => owner.DangerousRelease();
}
