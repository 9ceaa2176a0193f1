using Train.Onnx;
using Train.Tables;

namespace Train.CreditRisk;

/// <summary>Will the holder of a credit card fail to pay next month?</summary>
static class CreditRiskModel
{
    internal const string Name = "credit-risk-model";
    internal const string Key = "account_id";
    internal const string Truth = "defaulted";
    internal const string HeldOut = "held_out";
    const ulong Seed = 20240611;
    const int ValidationShare = 5;

    internal static readonly string[] Classes = ["repaid", "default"];

    internal static readonly IReadOnlyList<CardColumn> Features =
    [
        new("credit_limit", "granted credit, New Taiwan dollars"),
        new("education", "1 graduate school, 2 university, 3 high school, others unknown"),
        .. Enumerable.Range(1, 6).Select(m => new CardColumn(
            $"repayment_status_{m}", $"{Ago(m)}: months of delay; 0 revolving credit, -1 paid in full, -2 no consumption")),
        .. Enumerable.Range(1, 6).Select(m => new CardColumn($"bill_amount_{m}", $"bill {Ago(m)}, New Taiwan dollars")),
        .. Enumerable.Range(1, 6).Select(m => new CardColumn($"payment_amount_{m}", $"paid {Ago(m)}, New Taiwan dollars")),
    ];

    internal static TrainedModel Train(CsvTable table)
    {
        var features = Features.Select(f => f.Name).ToArray();
        var rows = table.Matrix(features);
        var truth = table.Column(Truth);
        var heldOut = Indices(table.Rows, row => table.Number(row, HeldOut) > 0);
        var rest = Indices(table.Rows, row => table.Number(row, HeldOut) == 0);
        var validation = rest.Where((_, i) => i % ValidationShare == 0).ToArray();
        var training = rest.Where((_, i) => i % ValidationShare != 0).ToArray();

        var settings = new BoostedTrees.Settings();
        var model = BoostedTrees.Fit(Pick(rows, training), Pick(truth, training), Pick(rows, validation), Pick(truth, validation), settings, Seed);
        var onnx = ToOnnx(model, features);

        var scores = rows.Select(r => model.Score(r)).ToArray();
        var probabilities = scores.Select(s => Numerics.Sigmoid(s)).ToArray();
        return new TrainedModel(onnx, Card(model, settings, table, rows, scores, heldOut, training.Length, validation.Length, onnx), new Predictions(
            [(Key, "BIGINT"), ("label", "BIGINT"), ("probability_repaid", "FLOAT"), ("probability_default", "FLOAT"), ("raw_score", "FLOAT")],
            [.. scores.Select((s, row) => (string[])
            [
                table.Text(row, Key),
                $"{Label(s)}",
                Predictions.Text((float)(1 - probabilities[row])),
                Predictions.Text((float)probabilities[row]),
                Predictions.Text(s),
            ])]));
    }

    static int Label(float score) => score > 0 ? 1 : 0;

    static byte[] ToOnnx(BoostedTrees model, string[] features)
    {
        var graph = new OnnxGraph(Name);
        var input = graph.Input("features", features.Length);
        graph.Add("TreeEnsembleRegressor", "raw_score", [input], Attributes(model));
        graph.Add("Sigmoid", "p_default", ["raw_score"]);
        graph.Add("Sub", "p_repaid", [graph.Constant("one", [1f], 1), "p_default"]);
        graph.Add("Concat", "probability", ["p_repaid", "p_default"], OnnxGraph.Attribute("axis", 1));
        graph.Add("Greater", "is_default", ["raw_score", graph.Constant("even_odds", [0f], 1)]);
        graph.Add("Cast", "label_column", ["is_default"], OnnxGraph.Attribute("to", (long)ElementType.Int64));
        graph.Add("Squeeze", "label", ["label_column", graph.Constant("last_axis", [1L], 1)]);
        graph.Output("label", ElementType.Int64);
        graph.Output("probability", ElementType.Float, 2);
        graph.Output("raw_score", ElementType.Float, 1);
        graph.Metadata("description", "Probability that a credit card holder defaults next month. Boosted trees, Taiwan credit data (CC BY 4.0).");
        graph.Metadata("features", features);
        graph.Metadata("classes", Classes);
        graph.Metadata("nan", "forbid");
        graph.Metadata("missing", "forbid");
        return graph.ToBytes();
    }

    static AttributeProto[] Attributes(BoostedTrees model)
    {
        var nodes = model.Trees
            .SelectMany((tree, t) => tree.Select((node, n) => (Tree: (long)t, Id: (long)n, Node: node)))
            .ToArray();
        var leaves = nodes.Where(n => n.Node.Feature < 0).ToArray();
        return
        [
            OnnxGraph.Attribute("n_targets", 1),
            OnnxGraph.Attribute("aggregate_function", "SUM"),
            OnnxGraph.Attribute("post_transform", "NONE"),
            OnnxGraph.Attribute("base_values", [model.Bias]),
            OnnxGraph.Attribute("nodes_treeids", nodes.Select(n => n.Tree)),
            OnnxGraph.Attribute("nodes_nodeids", nodes.Select(n => n.Id)),
            OnnxGraph.Attribute("nodes_featureids", nodes.Select(n => (long)Math.Max(n.Node.Feature, 0))),
            OnnxGraph.Attribute("nodes_modes", nodes.Select(n => n.Node.Feature < 0 ? "LEAF" : "BRANCH_LEQ")),
            OnnxGraph.Attribute("nodes_values", nodes.Select(n => n.Node.Threshold)),
            OnnxGraph.Attribute("nodes_truenodeids", nodes.Select(n => (long)Math.Max(n.Node.Left, 0))),
            OnnxGraph.Attribute("nodes_falsenodeids", nodes.Select(n => (long)Math.Max(n.Node.Right, 0))),
            OnnxGraph.Attribute("target_treeids", leaves.Select(n => n.Tree)),
            OnnxGraph.Attribute("target_nodeids", leaves.Select(n => n.Id)),
            OnnxGraph.Attribute("target_ids", leaves.Select(_ => 0L)),
            OnnxGraph.Attribute("target_weights", leaves.Select(n => n.Node.Value)),
        ];
    }

    static ModelCard Card(
        BoostedTrees model, BoostedTrees.Settings settings, CsvTable table, float[][] rows, float[] scores, int[] heldOut, int training,
        int validation, byte[] onnx)
    {
        var truth = Pick(table.Column(Truth), heldOut);
        var probabilities = heldOut.Select(row => Numerics.Sigmoid(scores[row])).ToArray();
        var confusion = Metrics.Confuse(probabilities, truth, 0.5);
        var splits = model.Trees.SelectMany(t => t).Where(n => n.Feature >= 0).CountBy(n => n.Feature).OrderByDescending(s => s.Value);
        return new ModelCard(
            Name,
            "Credit risk",
            "Says how likely the holder of a credit card is to default on next month's payment.",
            $"{model.Trees.Count} gradient boosted trees of at most {settings.MaxLeaves} leaves on the log odds, then a sigmoid.",
            "an example of a tabular risk score; trying out batch inference on real data.",
            "card holders of one bank in Taiwan in 2005; not calibrated for anyone else. Sex, marital status and age are in the data and "
                + "deliberately not used: deciding on credit by them is unlawful in many places. Nobody should be refused by this model.",
            Features,
            [
                new("label", "1 when default is likelier than not, else 0"),
                new("probability_repaid", "1 - probability_default"),
                new("probability_default", "of a default next month"),
                new("raw_score", "log odds of a default"),
            ],
            Classes,
            "none allowed: a NULL or NaN feature sends the row to quarantine.",
            new CardData(
                "\"Default of Credit Card Clients\", I-Cheng Yeh, UCI Machine Learning Repository (doi 10.24432/C55S3H), 30,000 accounts; "
                    + "the split is the one of the file.",
                "CC BY 4.0", "credit.csv", Key),
            new CardTraining(training, validation, heldOut.Length, Seed,
                $"Learning rate {settings.LearningRate}, lambda {settings.Lambda}, {settings.RowShare:P0} of rows and {settings.FeatureShare:P0} "
                    + $"of features a tree, at least {settings.MinRows} rows a leaf."),
            new Dictionary<string, double>
            {
                ["auc"] = Math.Round(Metrics.Auc(probabilities, truth), 6),
                ["logLoss"] = Math.Round(Metrics.LogLoss(probabilities, truth), 6),
                ["accuracy"] = Math.Round(confusion.Accuracy, 6),
                ["precision"] = Math.Round(confusion.Precision, 6),
                ["recall"] = Math.Round(confusion.Recall, 6),
                ["f1"] = Math.Round(confusion.F1, 6),
                ["baseRate"] = Math.Round(truth.Average(t => (double)t), 6),
            },
            [new CardTable("What the trees look at", ["feature", "splits"], [.. splits.Select(s => (string[])[$"`{Features[s.Key].Name}`", $"{s.Value}"])])],
            TrainedModel.Describe(onnx),
            [.. heldOut.Take(5).Select(row => new GoldenRow(table.Text(row, Key), [.. rows[row].Select(v => (float?)v)], new Dictionary<string, double>
            {
                ["label"] = Label(scores[row]),
                ["probability_repaid"] = 1 - Numerics.Sigmoid(scores[row]),
                ["probability_default"] = Numerics.Sigmoid(scores[row]),
                ["raw_score"] = scores[row],
            }))]);
    }

    static string Ago(int month) => month == 1 ? "of the last month" : $"of {month} months ago";

    static int[] Indices(int count, Func<int, bool> where) => [.. Enumerable.Range(0, count).Where(where)];

    static T[] Pick<T>(T[] items, int[] indices) => [.. indices.Select(i => items[i])];
}
