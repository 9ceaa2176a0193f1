using Train.Onnx;
using Train.Tables;

namespace Train.FraudDetection;

/// <summary>Was this payment made by someone else than the card's holder?</summary>
static class FraudDetectionModel
{
    internal const string Name = "fraud-detection-model";
    internal const string Key = "transaction_id";
    internal const string Truth = "is_fraud";
    internal const ulong SampleSeed = 7;
    const ulong Seed = 20240613;
    const int TrainingRows = 60_000;
    const int ValidationRows = 15_000;
    const int HeldOutRows = 40_000;

    /// <param name="table">The sample rows: generated from another seed, never trained on.</param>
    internal static TrainedModel Train(CsvTable table)
    {
        var features = TransactionGenerator.Features.Select(f => f.Name).ToArray();
        var generator = new TransactionGenerator(Seed);
        var (training, trainingTruth) = Generate(generator, 0, TrainingRows);
        var (validation, validationTruth) = Generate(generator, TrainingRows, ValidationRows);
        var (heldOut, heldOutTruth) = Generate(generator, TrainingRows + ValidationRows, HeldOutRows);

        var (mean, deviation) = Moments(training);
        float[][] Scale(float[][] rows) => [.. rows.Select(r => r.Select((v, f) => (float)((v - mean[f]) / deviation[f])).ToArray())];
        var settings = new Perceptron.Settings();
        var network = new Perceptron([features.Length, 64, 32, 1], Seed);
        var epochs = network.Fit(Scale(training), trainingTruth, Scale(validation), validationTruth, settings, Seed);
        var folded = FoldedNetwork.Of(network, mean, deviation);

        var threshold = BestThreshold([.. validation.Select(folded.Score)], validationTruth);
        var onnx = ToOnnx(folded, threshold, features);
        var rows = table.Matrix(features);
        var scores = rows.Select(folded.Score).ToArray();
        return new TrainedModel(
            onnx,
            Card(folded, settings, epochs, threshold, heldOut, heldOutTruth, table, rows, scores, onnx),
            new Predictions(
                [(Key, "BIGINT"), ("label", "BIGINT"), ("score", "FLOAT")],
                [.. scores.Select((s, row) => (string[])[table.Text(row, Key), $"{Label(s, threshold)}", Predictions.Text((float)s)])]));
    }

    static int Label(double score, float threshold) => score > threshold ? 1 : 0;

    static (float[][] Rows, float[] Truth) Generate(TransactionGenerator generator, long first, int count)
    {
        var rows = Enumerable.Range(0, count).Select(_ => new float[TransactionGenerator.Features.Count]).ToArray();
        return (rows, [.. rows.Select((row, i) => generator.Generate(first + i, row) ? 1f : 0f)]);
    }

    static (double[] Mean, double[] Deviation) Moments(float[][] rows)
    {
        var (mean, deviation) = (new double[rows[0].Length], new double[rows[0].Length]);
        for (var f = 0; f < mean.Length; f++)
        {
            var average = mean[f] = rows.Average(r => (double)r[f]);
            deviation[f] = Math.Sqrt(rows.Average(r => (r[f] - average) * (r[f] - average)));
        }
        return (mean, deviation);
    }

    // The one with the best F1, with three decimals, so that it reads well.
    static float BestThreshold(double[] scores, float[] truth) =>
        Enumerable.Range(20, 960).Select(t => t / 1000f).MaxBy(t => Metrics.Confuse(scores, truth, t).F1);

    static byte[] ToOnnx(FoldedNetwork network, float threshold, string[] features)
    {
        var graph = new OnnxGraph(Name);
        var value = graph.Input("features", features.Length);
        for (var l = 0; l < network.Layers.Count; l++)
        {
            var (weights, bias, inputs, outputs) = network.Layers[l];
            value = graph.Add("Gemm", $"layer{l + 1}",
                [value, graph.Constant($"weights{l + 1}", weights, inputs, outputs), graph.Constant($"bias{l + 1}", bias, outputs)]);
            if (l < network.Layers.Count - 1)
                value = graph.Add("Relu", $"active{l + 1}", [value]);
        }
        graph.Add("Sigmoid", "score", [value]);
        graph.Add("Greater", "is_fraud", ["score", graph.Constant("threshold", [threshold], 1)]);
        graph.Add("Cast", "label_column", ["is_fraud"], OnnxGraph.Attribute("to", (long)ElementType.Int64));
        graph.Add("Squeeze", "label", ["label_column", graph.Constant("last_axis", [1L], 1)]);
        graph.Output("label", ElementType.Int64);
        graph.Output("score", ElementType.Float, 1);
        graph.Metadata("description", "Fraud score of a card transaction, 0 to 1. Network 30-64-32-1, trained on generated data.");
        graph.Metadata("features", features);
        graph.Metadata("classes", ["genuine", "fraud"]);
        graph.Metadata("nan", "forbid");
        graph.Metadata("missing", "forbid");
        return graph.ToBytes();
    }

    static ModelCard Card(
        FoldedNetwork network, Perceptron.Settings settings, int epochs, float threshold, float[][] heldOut, float[] heldOutTruth, CsvTable table,
        float[][] rows, double[] scores, byte[] onnx)
    {
        var heldOutScores = heldOut.Select(network.Score).ToArray();
        var confusion = Metrics.Confuse(heldOutScores, heldOutTruth, threshold);
        return new ModelCard(
            Name,
            "Fraud detection",
            "Scores a card transaction from 0 (genuine) to 1 (fraud). The data it was trained on are generated: it has never seen a real payment.",
            "Fully connected network 30-64-32-1, ReLU, sigmoid. The features are standardised inside the first layer's weights.",
            "an example of a fast model on wide rows; load tests of any size with generated data.",
            "the data are generated by the program that trains the model, from rules of thumb about fraud. The metrics say how well the network "
                + "found those rules, and nothing about real fraud.",
            TransactionGenerator.Features,
            [new("label", $"1 when the score is above {threshold:0.000}, else 0"), new("score", "probability of fraud under the generator's rules")],
            ["genuine", "fraud"],
            "none allowed: a NULL or NaN feature sends the row to quarantine.",
            new CardData(
                $"Generated by this repository (`samples/train`, `TransactionGenerator`), {TransactionGenerator.FraudShare:P0} of rows are frauds. "
                    + "The sample rows come from another seed.",
                "MIT, as the repository", "transactions.csv", Key),
            new CardTraining(TrainingRows, ValidationRows, HeldOutRows, Seed,
                $"Adam, {epochs} epochs of batches of {settings.Batch}, rate {settings.Rate}, times {settings.Decay} an epoch. "
                    + "The threshold has the best F1 on the validation rows."),
            new Dictionary<string, double>
            {
                ["auc"] = Math.Round(Metrics.Auc(heldOutScores, heldOutTruth), 6),
                ["logLoss"] = Math.Round(Metrics.LogLoss(heldOutScores, heldOutTruth), 6),
                ["accuracy"] = Math.Round(confusion.Accuracy, 6),
                ["precision"] = Math.Round(confusion.Precision, 6),
                ["recall"] = Math.Round(confusion.Recall, 6),
                ["f1"] = Math.Round(confusion.F1, 6),
                ["threshold"] = Math.Round(threshold, 6),
                ["baseRate"] = Math.Round(heldOutTruth.Average(t => (double)t), 6),
            },
            [],
            TrainedModel.Describe(onnx),
            [.. Enumerable.Range(0, 4).Append(Array.FindIndex(scores, s => s > threshold)).Select(row => new GoldenRow(
                table.Text(row, Key),
                [.. rows[row].Select(v => (float?)v)],
                new Dictionary<string, double> { ["label"] = Label(scores[row], threshold), ["score"] = scores[row] }))]);
    }
}
