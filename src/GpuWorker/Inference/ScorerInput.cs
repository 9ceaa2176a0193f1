using System.Diagnostics.CodeAnalysis;
using Interop.OnnxRuntime;

namespace GpuWorker.Inference;

/// <summary>One input's rows on their way into a run: a buffer of numbers, or a tensor of strings for each step.</summary>
sealed unsafe class ScorerInput : IDisposable
{
    readonly InputLayout layout;
    readonly long[] shape;
    readonly int rowBytes;
    readonly AlignedBuffer? buffer;
    readonly List<OnnxValue> texts = [];
    readonly List<OnnxValue> slices = [];
    int textRows;

    internal ScorerInput(InputLayout layout, int capacity)
    {
        this.layout = layout;
        shape = [.. layout.Shape];
        rowBytes = layout.Features * layout.Type.BitsPerElement() / 8;
        if (layout.Type != OnnxElementType.String)
            buffer = new AlignedBuffer((long)rowBytes * capacity);
    }

    internal int Features => layout.Features;

    /// <summary>The element type, of which strings are none.</summary>
    internal OnnxElementType Numbers => buffer is not null ? layout.Type : NoNumbers();

    internal byte* Rows => buffer!.Pointer;

    internal void Begin(int rows, int batch)
    {
        if (buffer is null)
        {
            BeginTexts(rows, batch == 0 ? rows : batch);
            return;
        }
        // The rows that fill up the last step must not hold what an earlier run left.
        if (batch > 0 && rows % batch != 0)
            new Span<byte>(Rows + (long)rows * rowBytes, (batch - rows % batch) * rowBytes).Clear();
    }

    internal void SetText(int feature, int row, ReadOnlySpan<byte> utf8)
    {
        if (buffer is not null)
            throw new InvalidOperationException($"The input {layout.Name} takes {layout.Type.Spelling()}, not strings.");
        texts[row / textRows].SetString(row % textRows * Features + feature, utf8);
    }

    internal void SetMissing(int feature, int row)
    {
        var index = (long)row * Features + feature;
        switch (layout.Type)
        {
            case OnnxElementType.Float:
                ((float*)Rows)[index] = float.NaN;
                break;
            case OnnxElementType.Double:
                ((double*)Rows)[index] = double.NaN;
                break;
            case OnnxElementType.Float16:
                ((Half*)Rows)[index] = Half.NaN;
                break;
            case OnnxElementType.BFloat16:
                ((BrainFloat*)Rows)[index] = (BrainFloat)float.NaN;
                break;
            default:
                throw new InvalidOperationException($"The input {layout.Name} takes {layout.Type.Spelling()}, which has no NaN.");
        }
    }

    internal void Set(OnnxCall call, int index, int first, int step)
    {
        if (buffer is null)
        {
            SetChanging(call, index, first, step);
            return;
        }
        shape[0] = step;
        call.SetInput(index, Rows + (long)first * rowBytes, (long)step * rowBytes, layout.Type, shape);
    }

    /// <summary>Sets what differs from run to run even where the number of rows does not.</summary>
    internal void SetChanging(OnnxCall call, int index, int first, int step)
    {
        if (buffer is null)
            call.SetInput(index, first % textRows == 0 && step == textRows ? texts[first / textRows] : Slice(first, step));
    }

    public void Dispose()
    {
        buffer?.Dispose();
        ClearTexts();
    }

    // Fewer than were set together, because those did not fit the memory.
    OnnxValue Slice(int first, int step)
    {
        byte[] bytes = [];
        nuint[] offsets = [];
        var whole = texts[first / textRows];
        whole.Utf8(ref bytes, ref offsets);
        shape[0] = step;
        var slice = OnnxValue.Allocate(OnnxElementType.String, shape);
        slices.Add(slice);
        for (var i = 0; i < step * Features; i++)
        {
            var element = first % textRows * Features + i;
            slice.SetString(i, bytes.AsSpan((int)offsets[element]..(int)offsets[element + 1]));
        }
        return slice;
    }

    void BeginTexts(int rows, int step)
    {
        ClearTexts();
        textRows = Math.Max(step, 1);
        shape[0] = step;
        for (var first = 0; first < rows; first += textRows)
            texts.Add(OnnxValue.Allocate(OnnxElementType.String, shape));
    }

    void ClearTexts()
    {
        foreach (var text in texts)
            text.Dispose();
        texts.Clear();
        foreach (var slice in slices)
            slice.Dispose();
        slices.Clear();
    }

    [DoesNotReturn]
    OnnxElementType NoNumbers() => throw new InvalidOperationException($"The input {layout.Name} takes strings.");
}
