namespace Train.FraudDetection;

/// <summary>The trained network with standardisation folded into its first layer: what the file holds.</summary>
/// <param name="Layers">Weights by input, then output, as Gemm takes them.</param>
sealed record FoldedNetwork(IReadOnlyList<(float[] Weights, float[] Bias, int Inputs, int Outputs)> Layers)
{
    internal static FoldedNetwork Of(Perceptron network, double[] mean, double[] deviation) =>
        new([.. network.Layers.Select((layer, l) =>
        {
            var weights = new float[layer.Inputs * layer.Outputs];
            var bias = new float[layer.Outputs];
            for (var o = 0; o < layer.Outputs; o++)
            {
                double shift = layer.Bias[o];
                for (var i = 0; i < layer.Inputs; i++)
                {
                    var weight = layer.Weights[o * layer.Stride + i] / (l == 0 ? deviation[i] : 1);
                    weights[i * layer.Outputs + o] = (float)weight;
                    shift -= l == 0 ? weight * mean[i] : 0;
                }
                bias[o] = (float)shift;
            }
            return (weights, bias, layer.Inputs, layer.Outputs);
        })]);

    /// <summary>In double precision, from the file's own single precision weights.</summary>
    internal double Score(float[] row)
    {
        var values = row.Select(v => (double)v).ToArray();
        for (var l = 0; l < Layers.Count; l++)
        {
            var (weights, bias, inputs, outputs) = Layers[l];
            var next = new double[outputs];
            for (var o = 0; o < outputs; o++)
            {
                double sum = bias[o];
                for (var i = 0; i < inputs; i++)
                    sum += weights[i * outputs + o] * values[i];
                next[o] = l < Layers.Count - 1 ? Math.Max(sum, 0) : sum;
            }
            values = next;
        }
        return Numerics.Sigmoid(values[0]);
    }
}
