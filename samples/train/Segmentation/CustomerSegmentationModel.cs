using Train.Onnx;
using Train.Tables;

namespace Train.Segmentation;

/// <summary>Which kind of customer is this?</summary>
static class CustomerSegmentationModel
{
    internal const string Name = "customer-segmentation-model";
    internal const string Key = "customer_id";
    internal const string Churned = "churned";
    const ulong Seed = 20240612;
    const int HeldOutShare = 5;

    // Given by a person who looked at the table in the card. They hold for this seed and this number of segments.
    internal static readonly string[] SegmentNames = ["phone_only", "dsl_new", "dsl_loyal", "fiber_new", "fiber_loyal"];

    internal static readonly IReadOnlyList<CardColumn> Features =
    [
        new("tenure_months", "months as a customer"),
        new("monthly_charges", "US dollars a month"),
        new("total_charges", "US dollars so far; empty for customers of less than a month"),
        new("contract_months", "1, 12 or 24"),
        new("senior_citizen", "1 or 0"),
        new("partner", "1 or 0"),
        new("dependents", "1 or 0"),
        new("phone_service", "1 or 0"),
        new("multiple_lines", "1 or 0"),
        new("internet_dsl", "1 or 0"),
        new("internet_fiber", "1 or 0"),
        new("online_security", "1 or 0"),
        new("online_backup", "1 or 0"),
        new("device_protection", "1 or 0"),
        new("tech_support", "1 or 0"),
        new("streaming_tv", "1 or 0"),
        new("streaming_movies", "1 or 0"),
        new("paperless_billing", "1 or 0"),
        new("automatic_payment", "1 or 0"),
    ];

    /// <summary>Standardises in single precision, as the graph does; a missing value becomes the mean.</summary>
    sealed record Scaling(float[] Mean, float[] Deviation)
    {
        internal double[] Apply(float[] row) =>
            [.. row.Select((v, f) => (double)(((float.IsNaN(v) ? Mean[f] : v) - Mean[f]) / Deviation[f]))];

        internal static Scaling Of(float[][] rows)
        {
            var (mean, deviation) = (new float[rows[0].Length], new float[rows[0].Length]);
            for (var f = 0; f < mean.Length; f++)
            {
                var values = rows.Select(r => (double)r[f]).Where(v => !double.IsNaN(v)).ToArray();
                var average = values.Average();
                mean[f] = (float)average;
                deviation[f] = (float)Math.Sqrt(values.Average(v => (v - average) * (v - average)));
            }
            return new Scaling(mean, deviation);
        }
    }

    internal static TrainedModel Train(CsvTable table)
    {
        var features = Features.Select(f => f.Name).ToArray();
        var rows = table.Matrix(features);
        var scaling = Scaling.Of([.. rows.Where((_, i) => !IsHeldOut(i))]);
        var scaled = rows.Select(scaling.Apply).ToArray();
        var training = scaled.Where((_, i) => !IsHeldOut(i)).ToArray();
        var heldOut = Enumerable.Range(0, rows.Length).Where(IsHeldOut).ToArray();
        var heldOutRows = heldOut.Select(i => scaled[i]).ToArray();

        var candidates = Enumerable.Range(2, 7).Select(k => KMeans.Fit(training, k, Seed)).ToArray();
        var centers = Ordered(candidates.Single(c => c.Centers.Length == SegmentNames.Length), scaling);
        var rounded = centers.Select(c => c.Select(v => (double)(float)v).ToArray()).ToArray();
        var labels = scaled.Select(r => KMeans.Nearest(rounded, r)).ToArray();
        var onnx = ToOnnx(scaling, rounded, features);
        var distances = scaled.Select(r => rounded.Select(c => Math.Sqrt(KMeans.SquaredDistance(c, r))).ToArray()).ToArray();

        var card = new ModelCard(
            Name,
            "Customer segmentation",
            "Puts a customer of a telephone company into one of five segments found by k-means.",
            $"k-means with {SegmentNames.Length} centres on standardised features, Euclidean distance.",
            "an example of clustering; grouping customers for a look at them.",
            "customers of one fictional company in California. A segment is a summary, not a fact about a person. Clusters of such data overlap: "
                + "the silhouette says how much.",
            Features,
            [new("segment", "0-based index of the nearest centre"), .. SegmentNames.Select(n => new CardColumn($"distance_{n}", "to that segment's centre, in standard deviations"))],
            SegmentNames,
            "allowed: a NULL or NaN feature counts as the mean of the training rows.",
            new CardData(
                "\"Telco customer churn\", IBM sample data by way of the R package modeldata 1.4.0, 7,043 customers. Text columns were turned into "
                    + "numbers, and a key was added.",
                "MIT", "customers.csv", Key),
            new CardTraining(training.Length, 0, heldOut.Length, Seed, "The best of 12 starts with k-means++ seeds. Every fifth row is held out."),
            new Dictionary<string, double>
            {
                ["silhouette"] = Rounded(Silhouette(heldOutRows, rounded)),
                ["meanSquaredDistance"] = Rounded(heldOutRows.Average(r => KMeans.SquaredDistance(rounded[KMeans.Nearest(rounded, r)], r))),
                ["varianceExplained"] = Rounded(1 - heldOutRows.Sum(r => KMeans.SquaredDistance(rounded[KMeans.Nearest(rounded, r)], r))
                    / heldOutRows.Sum(r => r.Sum(v => v * v))),
            },
            [
                new CardTable("The segments", ["segment", "name", "customers", "months", "charges a month", "fibre", "contract months", "churned"],
                    [.. SegmentNames.Select((name, s) => Profile(s, name, table, labels))]),
                new CardTable("Other numbers of segments", ["segments", "held-out silhouette", "mean squared distance"],
                    [.. candidates.Select(c => (string[])
                    [
                        $"{c.Centers.Length}", $"{Silhouette(heldOutRows, c.Centers):0.000}",
                        $"{heldOutRows.Average(r => KMeans.SquaredDistance(c.Centers[KMeans.Nearest(c.Centers, r)], r)):0.000}",
                    ])]),
            ],
            TrainedModel.Describe(onnx),
            [.. heldOut.Take(4).Append(Array.FindIndex(rows, r => r.Any(float.IsNaN))).Select(row => new GoldenRow(
                table.Text(row, Key),
                [.. rows[row].Select(v => float.IsNaN(v) ? (float?)null : v)],
                new Dictionary<string, double>(
                    [new("segment", labels[row]), .. SegmentNames.Select((n, s) => KeyValuePair.Create($"distance_{n}", distances[row][s]))])))]);
        return new TrainedModel(onnx, card, new Predictions(
            [(Key, "VARCHAR"), ("segment", "BIGINT"), .. SegmentNames.Select(n => ($"distance_{n}", "FLOAT"))],
            [.. labels.Select((label, row) => (string[])
                [table.Text(row, Key), $"{label}", .. distances[row].Select(d => Predictions.Text((float)d))])]));
    }

    static bool IsHeldOut(int row) => row % HeldOutShare == 0;

    // By what they pay, so that a segment keeps its number when the seed changes.
    static double[][] Ordered(KMeans means, Scaling scaling)
    {
        var charges = Features.Index().Single(f => f.Item.Name == "monthly_charges").Index;
        return [.. means.Centers.OrderBy(c => c[charges] * scaling.Deviation[charges])];
    }

    static double Silhouette(double[][] rows, double[][] centers) =>
        KMeans.Silhouette(rows, [.. rows.Select(r => KMeans.Nearest(centers, r))], centers.Length);

    static string[] Profile(int segment, string name, CsvTable table, int[] labels)
    {
        var members = Enumerable.Range(0, table.Rows).Where(row => labels[row] == segment).ToArray();
        string Mean(string column, string format) => members.Average(row => (double)table.Number(row, column)).ToString(format);
        return
        [
            $"{segment}", name, $"{members.Length}", Mean("tenure_months", "0.0"), Mean("monthly_charges", "0.00"),
            Mean("internet_fiber", "P0"), Mean("contract_months", "0.0"), Mean(Churned, "P0"),
        ];
    }

    static byte[] ToOnnx(Scaling scaling, double[][] centers, string[] features)
    {
        var graph = new OnnxGraph(Name);
        var width = features.Length;
        var input = graph.Input("features", width);
        var mean = graph.Constant("mean", scaling.Mean, width);
        graph.Add("IsNaN", "missing", [input]);
        graph.Add("Where", "filled", ["missing", mean, input]);
        graph.Add("Sub", "centered", ["filled", mean]);
        graph.Add("Div", "scaled", ["centered", graph.Constant("deviation", scaling.Deviation, width)]);
        graph.Add("Unsqueeze", "row", ["scaled", graph.Constant("middle_axis", [1L], 1)]);
        graph.Add("Sub", "offsets", ["row", graph.Constant("centers", centers.SelectMany(c => c).Select(v => (float)v).ToArray(), 1, centers.Length, width)]);
        graph.Add("ReduceL2", "distance", ["offsets", graph.Constant("last_axis", [2L], 1)], OnnxGraph.Attribute("keepdims", 0));
        graph.Add("ArgMin", "segment", ["distance"], OnnxGraph.Attribute("axis", 1), OnnxGraph.Attribute("keepdims", 0));
        graph.Output("segment", ElementType.Int64);
        graph.Output("distance", ElementType.Float, centers.Length);
        graph.Metadata("description", "Nearest of five customer segments and the distance to each. k-means, IBM telco churn data (MIT).");
        graph.Metadata("features", features);
        graph.Metadata("classes", SegmentNames);
        graph.Metadata("nan", "allow");
        graph.Metadata("missing", "nan");
        return graph.ToBytes();
    }

    static double Rounded(double value) => Math.Round(value, 6);
}
