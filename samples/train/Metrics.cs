namespace Train;

/// <summary>How good predictions are on rows that were not trained on.</summary>
static class Metrics
{
    internal static double Auc(ReadOnlySpan<double> scores, ReadOnlySpan<float> truth)
    {
        var (sorted, labels) = (scores.ToArray(), truth.ToArray());
        Array.Sort(sorted, labels);
        double below = 0, pairs = 0, positives = 0;
        for (var start = 0; start < sorted.Length;)
        {
            double hits = 0, misses = 0;
            var end = start;
            for (; end < sorted.Length && sorted[end] == sorted[start]; end++)
            {
                if (labels[end] > 0)
                    hits++;
                else
                    misses++;
            }
            pairs += hits * (below + misses / 2);
            below += misses;
            positives += hits;
            start = end;
        }
        return pairs / (positives * below);
    }

    internal static double LogLoss(ReadOnlySpan<double> probabilities, ReadOnlySpan<float> truth)
    {
        var sum = 0.0;
        for (var i = 0; i < probabilities.Length; i++)
            sum -= Numerics.Log(Math.Clamp(truth[i] > 0 ? probabilities[i] : 1 - probabilities[i], 1e-15, 1));
        return sum / probabilities.Length;
    }

    /// <summary>Counts of predictions at and above a threshold against the truth.</summary>
    internal readonly record struct Confusion(int TruePositive, int FalsePositive, int TrueNegative, int FalseNegative)
    {
        internal double Accuracy => (double)(TruePositive + TrueNegative) / (TruePositive + FalsePositive + TrueNegative + FalseNegative);

        internal double Precision => TruePositive == 0 ? 0 : (double)TruePositive / (TruePositive + FalsePositive);

        internal double Recall => TruePositive == 0 ? 0 : (double)TruePositive / (TruePositive + FalseNegative);

        internal double F1 => TruePositive == 0 ? 0 : 2 * Precision * Recall / (Precision + Recall);
    }

    internal static Confusion Confuse(ReadOnlySpan<double> scores, ReadOnlySpan<float> truth, double threshold)
    {
        var counts = new int[4];
        for (var i = 0; i < scores.Length; i++)
            counts[(scores[i] >= threshold ? 0 : 2) + ((scores[i] >= threshold) == truth[i] > 0 ? 0 : 1)]++;
        return new Confusion(counts[0], counts[1], counts[2], counts[3]);
    }
}
