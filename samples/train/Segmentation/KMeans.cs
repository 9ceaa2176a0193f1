namespace Train.Segmentation;

/// <summary>Lloyd's algorithm from k-means++ seeds, the best of several starts.</summary>
sealed class KMeans
{
    const int Starts = 12;
    const int MaxIterations = 200;

    KMeans(double[][] centers, double inertia)
    {
        Centers = centers;
        Inertia = inertia;
    }

    internal double[][] Centers { get; }

    /// <summary>Sum of squared distances to the nearest centre.</summary>
    internal double Inertia { get; }

    internal static KMeans Fit(double[][] rows, int clusters, ulong seed) =>
        Enumerable.Range(0, Starts).Select(start => FitOnce(rows, clusters, new RandomStream(seed, (ulong)start))).MinBy(k => k.Inertia)!;

    internal static int Nearest(double[][] centers, double[] row)
    {
        var (best, nearest) = (double.MaxValue, 0);
        for (var c = 0; c < centers.Length; c++)
        {
            var distance = SquaredDistance(centers[c], row);
            if (distance < best)
                (best, nearest) = (distance, c);
        }
        return nearest;
    }

    internal static double SquaredDistance(double[] a, double[] b)
    {
        var sum = 0.0;
        for (var i = 0; i < a.Length; i++)
            sum += (a[i] - b[i]) * (a[i] - b[i]);
        return sum;
    }

    /// <summary>Mean over rows of (b - a) / max(a, b): a to the row's own cluster, b to the next nearest. From -1 to 1.</summary>
    internal static double Silhouette(double[][] rows, int[] labels, int clusters)
    {
        var sizes = new int[clusters];
        foreach (var label in labels)
            sizes[label]++;
        var sum = 0.0;
        for (var i = 0; i < rows.Length; i++)
        {
            var distances = new double[clusters];
            for (var j = 0; j < rows.Length; j++)
                distances[labels[j]] += Math.Sqrt(SquaredDistance(rows[i], rows[j]));
            if (sizes[labels[i]] < 2)
                continue;
            var own = distances[labels[i]] / (sizes[labels[i]] - 1);
            var other = Enumerable.Range(0, clusters).Where(c => c != labels[i] && sizes[c] > 0).Min(c => distances[c] / sizes[c]);
            sum += (other - own) / Math.Max(own, other);
        }
        return sum / rows.Length;
    }

    static KMeans FitOnce(double[][] rows, int clusters, RandomStream random)
    {
        var centers = Seeds(rows, clusters, ref random);
        var labels = new int[rows.Length];
        for (var iteration = 0; iteration < MaxIterations; iteration++)
        {
            var moved = iteration == 0;
            for (var i = 0; i < rows.Length; i++)
            {
                var nearest = Nearest(centers, rows[i]);
                moved |= nearest != labels[i];
                labels[i] = nearest;
            }
            if (!moved)
                break;
            centers = Means(rows, labels, centers);
        }
        return new KMeans(centers, rows.Select((r, i) => SquaredDistance(centers[labels[i]], r)).Sum());
    }

    static double[][] Seeds(double[][] rows, int clusters, ref RandomStream random)
    {
        var centers = new List<double[]> { rows[random.Below(rows.Length)] };
        while (centers.Count < clusters)
        {
            var weights = rows.Select(r => centers.Min(c => SquaredDistance(c, r))).ToArray();
            var left = random.Uniform() * weights.Sum();
            var chosen = 0;
            while (chosen < rows.Length - 1 && (left -= weights[chosen]) > 0)
                chosen++;
            centers.Add(rows[chosen]);
        }
        return [.. centers];
    }

    static double[][] Means(double[][] rows, int[] labels, double[][] previous)
    {
        var counts = new int[previous.Length];
        var sums = previous.Select(c => new double[c.Length]).ToArray();
        for (var i = 0; i < rows.Length; i++)
        {
            counts[labels[i]]++;
            for (var f = 0; f < rows[i].Length; f++)
                sums[labels[i]][f] += rows[i][f];
        }
        return [.. sums.Select((s, c) => counts[c] == 0 ? previous[c] : s.Select(v => v / counts[c]).ToArray())];
    }
}
