using System.Globalization;
using Contracts;
using Interop.OnnxRuntime;

namespace GpuWorker.Inference.Inspection;

/// <summary>Made-up input for a model that takes tensors of whatever shape: sizes that it leaves open are guessed, the same for the same name.</summary>
static class OpenTensors
{
    /// <summary>Of one input: more is no input for a try.</summary>
    const long MostBytes = 1L << 30;

    const int Seed = 20011;

    // Nearly everything can be one; many a network halves its input a few times.
    static readonly long[] Guesses = [1, 2, 16, 64, 224];

    public static bool HasOpenSizes(IReadOnlyList<OnnxPort> inputs) => inputs.Any(input => !IsFixed(input.Type));

    /// <summary>Runs the model once on the first input that it takes.</summary>
    /// <param name="problem">What it says to the first of them; empty when one did.</param>
    /// <exception cref="FailureException"><c>model_too_large</c>: an input alone is.</exception>
    public static bool TryRun(OnnxSession onnx, OnnxRunOptions? options, CancellationToken stop, out string problem)
    {
        problem = "";
        var guesses = HasOpenSizes(onnx.Inputs) ? Guesses : [1];
        foreach (var guess in guesses)
        {
            // Numbers that the model uses as indices may not be any: all zero is the mildest input there is.
            foreach (var random in new[] { new Random(Seed), null })
            {
                if (Run(onnx, guess, random, options, stop) is not { } error)
                    return true;
                problem = problem.Length > 0 ? problem : error;
            }
        }
        return false;
    }

    static string? Run(OnnxSession onnx, long guess, Random? random, OnnxRunOptions? options, CancellationToken stop)
    {
        var inputs = new List<OnnxInput>();
        try
        {
            foreach (var input in onnx.Inputs)
                inputs.Add(new OnnxInput(input.Name, Value(input.Name, input.Type, guess, random)));
            foreach (var value in onnx.Run([.. inputs], options: options, cancellationToken: stop))
                value.Dispose();
            return null;
        }
        catch (OnnxException error)
        {
            return error.Message;
        }
        catch (NotSupportedException error)
        {
            return error.Message;
        }
        finally
        {
            foreach (var input in inputs)
                input.Value.Dispose();
        }
    }

    static OnnxValue Value(string name, OnnxType type, long guess, Random? random)
    {
        switch (type.Kind)
        {
            case OnnxKind.Tensor:
                return Tensor(name, type, guess, random);
            case OnnxKind.Optional:
                // With content: there are operators of ONNX Runtime that do not survive an optional without.
                return Value(name, type.Inner!, guess, random);
            case OnnxKind.Sequence:
                {
                    using var item = Value(name, type.Inner!, guess, random);
                    return OnnxValue.Sequence([item]);
                }
            case OnnxKind.Map:
                {
                    using var keys = Tensor(name, type with { Kind = OnnxKind.Tensor, Shape = [1], Symbols = [""] }, guess, null);
                    using var values = Tensor(name, type.Inner! with { Shape = [1], Symbols = [""] }, guess, random);
                    return OnnxValue.Map(keys, values);
                }
            default:
                throw new NotSupportedException($"{name} is {type}, of which no value can be made up.");
        }
    }

    static OnnxValue Tensor(string name, OnnxType type, long guess, Random? random)
    {
        long[] shape = type.Shape is null ? [1, guess] : [.. type.Shape.Select(size => size > 0 ? size : guess)];
        var elements = shape.Aggregate(1L, (product, size) => product > MostBytes ? product : product * Math.Min(size, MostBytes + 1));
        if (elements > MostBytes || type.Element.Bytes(elements) > MostBytes)
            throw new FailureException("model_too_large", $"The input {name} of shape [{string.Join(", ", shape)}] alone has more than {MostBytes} bytes.");
        if (type.Element == OnnxElementType.String)
            return OnnxValue.CreateStrings([.. Enumerable.Range(0, (int)elements).Select(_ => Digit(random).ToString(CultureInfo.InvariantCulture))], shape);
        if (type.Element.BitsPerElement() == 0)
            throw new NotSupportedException($"{name} is {type}, of which no value can be made up.");

        var value = OnnxValue.Allocate(type.Element, shape);
        var bytes = value.Bytes();
        bytes.Clear();
        if (random is not null)
            Fill(type.Element, value, bytes, random);
        return value;
    }

    static void Fill(OnnxElementType type, OnnxValue value, Span<byte> bytes, Random random)
    {
        switch (type)
        {
            case OnnxElementType.Float:
                foreach (ref var number in value.Span<float>())
                    number = (float)(random.NextDouble() * 4 - 2);
                break;
            case OnnxElementType.Double:
                foreach (ref var number in value.Span<double>())
                    number = random.NextDouble() * 4 - 2;
                break;
            case OnnxElementType.Float16:
                foreach (ref var number in value.Span<Half>())
                    number = (Half)(random.NextDouble() * 4 - 2);
                break;
            case OnnxElementType.Bool:
                foreach (ref var number in bytes)
                    number = (byte)random.Next(2);
                break;
            case OnnxElementType.Int8 or OnnxElementType.UInt8 or OnnxElementType.Int16 or OnnxElementType.UInt16 or OnnxElementType.Int32
                or OnnxElementType.UInt32 or OnnxElementType.Int64 or OnnxElementType.UInt64:
                // Little-endian: the low byte is the number.
                for (var i = 0; i < bytes.Length; i += type.BitsPerElement() / 8)
                    bytes[i] = (byte)Digit(random);
                break;
        }
    }

    // Small whole numbers may serve as categories and indices, which the model may look up.
    static int Digit(Random? random) => random?.Next(10) ?? 0;

    static bool IsFixed(OnnxType type) => type.Kind == OnnxKind.Optional ? IsFixed(type.Inner!) : type.Kind == OnnxKind.Tensor && type.Shape?.All(size => size > 0) == true;
}
