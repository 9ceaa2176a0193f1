using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Train.FraudDetection;

/// <summary>A fully connected network, ReLU between layers, one log odds at the end; trained by Adam.</summary>
/// <remarks>
/// Sums run over vectors of eight, multiplied and added in two roundings, on every machine: fused or wider ones would give
/// other bytes.
/// </remarks>
sealed class Perceptron
{
    const int Lanes = 8;

    /// <summary>Weights by output, then input; the inputs are padded to whole vectors with zeros.</summary>
    internal sealed class Layer
    {
        internal Layer(int inputs, int outputs, ref RandomStream random)
        {
            (Inputs, Outputs, Stride) = (inputs, outputs, Padded(inputs));
            Weights = new float[outputs * Stride];
            var scale = Math.Sqrt(2.0 / inputs);
            for (var o = 0; o < outputs; o++)
            {
                for (var i = 0; i < inputs; i++)
                    Weights[o * Stride + i] = (float)(scale * random.Normal());
            }
            Bias = new float[outputs];
            WeightGradient = new float[Weights.Length];
            BiasGradient = new float[outputs];
        }

        internal int Inputs { get; }

        internal int Outputs { get; }

        internal int Stride { get; }

        internal float[] Weights { get; set; }

        internal float[] Bias { get; set; }

        internal float[] WeightGradient { get; }

        internal float[] BiasGradient { get; }
    }

    internal sealed record Settings(int Epochs = 30, int Batch = 256, double Rate = 2e-3, double Decay = 0.88, int Patience = 5);

    readonly float[][] activations;
    readonly float[][] errors;

    internal Perceptron(int[] widths, ulong seed)
    {
        var random = new RandomStream(seed, 0);
        Layers = new Layer[widths.Length - 1];
        for (var l = 0; l < Layers.Length; l++)
            Layers[l] = new Layer(widths[l], widths[l + 1], ref random);
        activations = [.. widths.Select(w => new float[Padded(w)])];
        errors = [.. widths.Select(w => new float[Padded(w)])];
    }

    internal Layer[] Layers { get; }

    /// <summary>The log odds of a row.</summary>
    internal float Score(ReadOnlySpan<float> row)
    {
        row.CopyTo(activations[0]);
        for (var l = 0; l < Layers.Length; l++)
        {
            var layer = Layers[l];
            var (input, output) = (activations[l], activations[l + 1]);
            for (var o = 0; o < layer.Outputs; o++)
            {
                var sum = Dot(layer.Weights.AsSpan(o * layer.Stride, layer.Stride), input) + layer.Bias[o];
                output[o] = l < Layers.Length - 1 ? Math.Max(sum, 0) : sum;
            }
        }
        return activations[^1][0];
    }

    /// <summary>
    /// Trains until the loss on the validation rows has not improved for a while, and goes back to the best. Gives the epochs run.
    /// </summary>
    internal int Fit(float[][] rows, float[] truth, float[][] validationRows, float[] validationTruth, Settings settings, ulong seed)
    {
        var order = Enumerable.Range(0, rows.Length).ToArray();
        var adam = Layers.Select(l => (Weights: new Adam(l.Weights.Length), Bias: new Adam(l.Bias.Length))).ToArray();
        var (bestLoss, bestEpoch, rate) = (double.MaxValue, 0, settings.Rate);
        var best = Copy();
        var epoch = 0;
        while (epoch < settings.Epochs && epoch - bestEpoch < settings.Patience)
        {
            epoch++;
            var random = new RandomStream(seed, (ulong)epoch);
            random.Shuffle(order);
            for (var start = 0; start < order.Length; start += settings.Batch)
            {
                var batch = order.AsSpan(start, Math.Min(settings.Batch, order.Length - start));
                foreach (var row in batch)
                    Learn(rows[row], truth[row]);
                for (var l = 0; l < Layers.Length; l++)
                {
                    adam[l].Weights.Step(Layers[l].Weights, Layers[l].WeightGradient, batch.Length, rate);
                    adam[l].Bias.Step(Layers[l].Bias, Layers[l].BiasGradient, batch.Length, rate);
                }
            }
            rate *= settings.Decay;
            var loss = Metrics.LogLoss([.. validationRows.Select(r => Numerics.Sigmoid(Score(r)))], validationTruth);
            if (loss < bestLoss)
                (bestLoss, bestEpoch, best) = (loss, epoch, Copy());
        }
        for (var l = 0; l < Layers.Length; l++)
            (Layers[l].Weights, Layers[l].Bias) = best[l];
        return epoch;
    }

    (float[] Weights, float[] Bias)[] Copy() => [.. Layers.Select(l => ((float[])l.Weights.Clone(), (float[])l.Bias.Clone()))];

    void Learn(float[] row, float truth)
    {
        errors[^1][0] = (float)(Numerics.Sigmoid(Score(row)) - truth);
        for (var l = Layers.Length - 1; l >= 0; l--)
        {
            var layer = Layers[l];
            var (input, below) = (activations[l], errors[l]);
            below.AsSpan().Clear();
            for (var o = 0; o < layer.Outputs; o++)
            {
                var error = errors[l + 1][o];
                if (error == 0 || l < Layers.Length - 1 && activations[l + 1][o] <= 0)
                    continue;
                layer.BiasGradient[o] += error;
                AddScaled(layer.WeightGradient.AsSpan(o * layer.Stride, layer.Stride), error, input);
                if (l > 0)
                    AddScaled(below, error, layer.Weights.AsSpan(o * layer.Stride, layer.Stride));
            }
        }
    }

    static int Padded(int width) => (width + Lanes - 1) / Lanes * Lanes;

    static float Dot(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        var left = MemoryMarshal.Cast<float, Vector256<float>>(a);
        var right = MemoryMarshal.Cast<float, Vector256<float>>(b);
        var sum = Vector256<float>.Zero;
        for (var i = 0; i < left.Length; i++)
            sum += left[i] * right[i];
        var total = 0f;
        for (var lane = 0; lane < Lanes; lane++)
            total += sum[lane];
        return total;
    }

    static void AddScaled(Span<float> target, float factor, ReadOnlySpan<float> values)
    {
        var sums = MemoryMarshal.Cast<float, Vector256<float>>(target);
        var source = MemoryMarshal.Cast<float, Vector256<float>>(values);
        for (var i = 0; i < sums.Length; i++)
            sums[i] += source[i] * factor;
    }

    sealed class Adam(int length)
    {
        const double MeanDecay = 0.9;
        const double SquareDecay = 0.999;

        readonly float[] mean = new float[length];
        readonly float[] square = new float[length];
        double meanWeight = 1;
        double squareWeight = 1;

        internal void Step(float[] values, float[] gradient, int rows, double rate)
        {
            meanWeight *= MeanDecay;
            squareWeight *= SquareDecay;
            for (var i = 0; i < values.Length; i++)
            {
                var g = gradient[i] / rows;
                mean[i] = (float)(MeanDecay * mean[i] + (1 - MeanDecay) * g);
                square[i] = (float)(SquareDecay * square[i] + (1 - SquareDecay) * g * g);
                values[i] -= (float)(rate * (mean[i] / (1 - meanWeight)) / (Math.Sqrt(square[i] / (1 - squareWeight)) + 1e-8));
            }
            gradient.AsSpan().Clear();
        }
    }
}
