using Contracts;
using Interop.OnnxRuntime;

namespace GpuWorker.Inference;

/// <summary>
/// One output's values of a run, row by row. Numbers are written in place by ONNX Runtime once their shape is known; strings and
/// maps, and numbers of the first run, are taken over from what it made.
/// </summary>
sealed unsafe class ScorerOutput : IDisposable
{
    readonly string name;
    readonly OnnxElementType type;
    readonly OnnxMapKeys? keys;
    readonly int width;
    readonly int rowBytes;
    readonly AlignedBuffer? buffer;
    long[]? shape;
    byte[] texts = [];
    int[] textOffsets = [];
    byte[] madeTexts = [];
    nuint[] madeOffsets = [];

    internal ScorerOutput(OnnxPort port, OutputColumn[] columns, int capacity)
    {
        name = port.Name;
        width = columns.Length;
        if (port.Type is { Kind: OnnxKind.Sequence, Inner: { Kind: OnnxKind.Map } map })
        {
            type = map.Inner!.Element;
            keys = new OnnxMapKeys(map.Element, [.. columns.Select(column => column.Key!)]);
        }
        else
        {
            type = port.Type.Element;
        }
        rowBytes = width * type.BitsPerElement() / 8;
        if (type == OnnxElementType.String)
            textOffsets = new int[capacity * width + 1];
        else
            buffer = new AlignedBuffer((long)rowBytes * capacity);
    }

    internal bool IsMadeByRuntime => shape is null;

    internal void Begin(int rows)
    {
        if (buffer is null)
            Array.Clear(textOffsets, 0, Math.Min(rows * width + 1, textOffsets.Length));
    }

    internal void Set(OnnxCall call, int index, int first, int step)
    {
        if (shape is null)
        {
            call.LeaveOutput(index);
            return;
        }
        shape[0] = step;
        call.SetOutput(index, buffer!.Pointer + (long)first * rowBytes, (long)step * rowBytes, type, shape);
    }

    /// <summary>Takes over what the run made.</summary>
    /// <returns>Whether from now on the output is written in place.</returns>
    internal bool Take(OnnxCall call, int index, int first, int step, int rows)
    {
        using var value = call.TakeOutput(index);
        if (keys is not null)
        {
            TakeMaps(value, first, step, rows);
            return false;
        }
        if (value.Shape.Count == 0 || value.Shape[0] != step || value.Length != (long)step * width)
            throw Unusable($"it gave shape [{string.Join(", ", value.Shape)}] for {step} rows");
        if (buffer is null)
        {
            TakeTexts(value, first, rows);
            return false;
        }
        value.Bytes().CopyTo(new Span<byte>(buffer.Pointer + (long)first * rowBytes, step * rowBytes));
        shape = [.. value.Shape];
        return true;
    }

    internal void Copy(int index, void* destination, int rows)
    {
        if (buffer is null)
            throw new InvalidOperationException($"The output {name} gives strings.");
        Columns.Unpack(type, buffer.Pointer, index, width, destination, rows);
    }

    internal ReadOnlySpan<byte> Text(int index, int row)
    {
        if (buffer is not null)
            throw new InvalidOperationException($"The output {name} gives {type.Spelling()}, not strings.");
        var element = row * width + index;
        return texts.AsSpan(textOffsets[element]..textOffsets[element + 1]);
    }

    public void Dispose() => buffer?.Dispose();

    void TakeMaps(OnnxValue value, int first, int step, int rows)
    {
        if (value.Count != step)
            throw Unusable($"it gave {value.Count} maps for {step} rows");
        for (var row = 0; row < rows; row++)
        {
            if (!keys!.TryRead(value, row, new Span<byte>(buffer!.Pointer + (long)(first + row) * rowBytes, rowBytes)))
                throw Unusable("its maps do not all have the same keys");
        }
    }

    void TakeTexts(OnnxValue value, int first, int rows)
    {
        value.Utf8(ref madeTexts, ref madeOffsets);
        var (start, count) = (first * width, rows * width);
        var offset = textOffsets[start];
        var length = (int)madeOffsets[count];
        if (texts.Length < offset + length)
            Array.Resize(ref texts, Math.Max(offset + length, texts.Length * 2));
        madeTexts.AsSpan(0, length).CopyTo(texts.AsSpan(offset));
        for (var i = 1; i <= count; i++)
            textOffsets[start + i] = offset + (int)madeOffsets[i];
    }

    FailureException Unusable(string reason) =>
        new("model_output_unusable", $"The output {name} does not give one result a row: {reason}.");
}
