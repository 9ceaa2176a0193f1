namespace Train.CreditRisk;

/// <summary>Gradient boosted trees for a yes-or-no question: logistic loss to second order, histograms, best leaf first.</summary>
sealed class BoostedTrees
{
    internal const int MaxBins = 256;

    internal sealed record Settings(
        int MaxTrees = 400,
        int MaxLeaves = 16,
        int MaxDepth = 6,
        int MinRows = 40,
        double LearningRate = 0.06,
        double Lambda = 5,
        double FeatureShare = 0.7,
        double RowShare = 0.8,
        int Patience = 40);

    /// <summary>Left when the feature is at most the threshold. A leaf has no feature (-1) and a value.</summary>
    internal sealed record Node(int Feature, float Threshold, int Left, int Right, float Value);

    BoostedTrees(float bias, IReadOnlyList<Node[]> trees)
    {
        Bias = bias;
        Trees = trees;
    }

    internal float Bias { get; }

    internal IReadOnlyList<Node[]> Trees { get; }

    /// <summary>The log odds. Added up in single precision, tree by tree: the sum a runtime makes of the same file.</summary>
    internal float Score(ReadOnlySpan<float> row)
    {
        var sum = 0f;
        foreach (var tree in Trees)
        {
            var node = tree[0];
            while (node.Feature >= 0)
                node = tree[row[node.Feature] <= node.Threshold ? node.Left : node.Right];
            sum += node.Value;
        }
        return sum + Bias;
    }

    /// <summary>Adds trees until the loss on the validation rows has not improved for a while, and keeps those up to the best.</summary>
    internal static BoostedTrees Fit(
        float[][] rows, float[] truth, float[][] validationRows, float[] validationTruth, Settings settings, ulong seed)
    {
        var random = new RandomStream(seed, 0);
        var bins = new BinnedRows(rows);
        var prior = truth.Average(t => (double)t);
        var bias = (float)Numerics.Log(prior / (1 - prior));
        var scores = Filled(rows.Length, bias);
        var validationScores = Filled(validationRows.Length, bias);
        var probabilities = new double[validationRows.Length];
        var (gradients, hessians) = (new double[rows.Length], new double[rows.Length]);
        var trees = new List<Node[]>();
        var (bestLoss, bestCount) = (double.MaxValue, 0);
        while (trees.Count < settings.MaxTrees && trees.Count - bestCount < settings.Patience)
        {
            for (var i = 0; i < rows.Length; i++)
            {
                var p = Numerics.Sigmoid(scores[i]);
                gradients[i] = p - truth[i];
                hessians[i] = p * (1 - p);
            }
            var tree = new TreeGrower(bins, gradients, hessians, settings).Grow(ref random);
            trees.Add(tree);
            for (var i = 0; i < rows.Length; i++)
                scores[i] += Leaf(tree, rows[i]);
            for (var i = 0; i < validationRows.Length; i++)
            {
                validationScores[i] += Leaf(tree, validationRows[i]);
                probabilities[i] = Numerics.Sigmoid(validationScores[i]);
            }
            var loss = Metrics.LogLoss(probabilities, validationTruth);
            if (loss < bestLoss)
                (bestLoss, bestCount) = (loss, trees.Count);
        }
        return new BoostedTrees(bias, trees[..bestCount]);
    }

    static float Leaf(Node[] tree, float[] row)
    {
        var node = tree[0];
        while (node.Feature >= 0)
            node = tree[row[node.Feature] <= node.Threshold ? node.Left : node.Right];
        return node.Value;
    }

    static double[] Filled(int length, double value)
    {
        var array = new double[length];
        Array.Fill(array, value);
        return array;
    }
}
