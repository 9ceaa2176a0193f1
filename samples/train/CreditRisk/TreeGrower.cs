using System.Runtime.InteropServices;

namespace Train.CreditRisk;

/// <summary>Grows one tree: always splits the leaf that gains most.</summary>
sealed class TreeGrower(BinnedRows bins, double[] gradients, double[] hessians, BoostedTrees.Settings settings)
{
    struct Bin
    {
        internal double Gradient;
        internal double Hessian;
        internal int Rows;
    }

    sealed record Leaf(int Node, int Depth, int Start, int Length, Bin Total, Split? Split);

    sealed record Split(int Feature, int Edge, double Gain);

    int[] rows = [];
    int[] features = [];

    internal BoostedTrees.Node[] Grow(ref RandomStream random)
    {
        rows = Sample(bins.Rows, settings.RowShare, ref random);
        features = Sample(bins.Features, settings.FeatureShare, ref random);
        var nodes = new List<BoostedTrees.Node> { LeafNode(0) };
        var open = new List<Leaf> { Examine(0, 0, 0, rows.Length) };
        nodes[0] = LeafNode(Value(open[0].Total));
        for (var leaves = 1; leaves < settings.MaxLeaves; leaves++)
        {
            var best = open.Where(l => l.Split is not null).MaxBy(l => l.Split!.Gain);
            if (best is null)
                break;
            open.Remove(best);
            var (feature, edge, _) = best.Split!;
            var middle = Partition(best, feature, edge);
            var (left, right) = (nodes.Count, nodes.Count + 1);
            nodes[best.Node] = new(feature, bins.Edges[feature][edge], left, right, 0);
            open.Add(Examine(left, best.Depth + 1, best.Start, middle - best.Start));
            nodes.Add(LeafNode(Value(open[^1].Total)));
            open.Add(Examine(right, best.Depth + 1, middle, best.Start + best.Length - middle));
            nodes.Add(LeafNode(Value(open[^1].Total)));
        }
        return [.. nodes];
    }

    static BoostedTrees.Node LeafNode(float value) => new(-1, 0, -1, -1, value);

    float Value(in Bin total) => (float)(-settings.LearningRate * total.Gradient / (total.Hessian + settings.Lambda));

    Leaf Examine(int node, int depth, int start, int length)
    {
        var total = new Bin { Rows = length };
        foreach (var row in rows.AsSpan(start, length))
        {
            total.Gradient += gradients[row];
            total.Hessian += hessians[row];
        }
        Split? best = null;
        if (depth < settings.MaxDepth && length >= 2 * settings.MinRows)
        {
            foreach (var feature in features)
                best = Better(best, feature, total, start, length);
        }
        return new Leaf(node, depth, start, length, total, best);
    }

    Split? Better(Split? best, int feature, in Bin total, int start, int length)
    {
        Span<Bin> histogram = stackalloc Bin[BoostedTrees.MaxBins];
        histogram.Clear();
        var position = bins.Bins[feature];
        foreach (var row in rows.AsSpan(start, length))
        {
            ref var bin = ref histogram[position[row]];
            bin.Gradient += gradients[row];
            bin.Hessian += hessians[row];
            bin.Rows++;
        }
        var left = default(Bin);
        var whole = Quality(total.Gradient, total.Hessian);
        for (var edge = 0; edge < bins.Edges[feature].Length; edge++)
        {
            left.Gradient += histogram[edge].Gradient;
            left.Hessian += histogram[edge].Hessian;
            left.Rows += histogram[edge].Rows;
            if (histogram[edge].Rows == 0 || left.Rows < settings.MinRows || length - left.Rows < settings.MinRows)
                continue;
            var gain = Quality(left.Gradient, left.Hessian) + Quality(total.Gradient - left.Gradient, total.Hessian - left.Hessian) - whole;
            if (gain > (best?.Gain ?? 1e-6))
                best = new Split(feature, edge, gain);
        }
        return best;
    }

    double Quality(double gradient, double hessian) => gradient * gradient / (hessian + settings.Lambda);

    // Keeps the order of the rows on both sides: sums must not depend on how a partition was made.
    int Partition(Leaf leaf, int feature, int edge)
    {
        var span = rows.AsSpan(leaf.Start, leaf.Length);
        var position = bins.Bins[feature];
        var right = new List<int>(span.Length);
        var next = 0;
        foreach (var row in span)
        {
            if (position[row] <= edge)
                span[next++] = row;
            else
                right.Add(row);
        }
        CollectionsMarshal.AsSpan(right).CopyTo(span[next..]);
        return leaf.Start + next;
    }

    static int[] Sample(int count, double share, ref RandomStream random)
    {
        var all = Enumerable.Range(0, count).ToArray();
        random.Shuffle(all);
        var sample = all[..(int)Math.Round(count * share)];
        Array.Sort(sample);
        return sample;
    }
}
