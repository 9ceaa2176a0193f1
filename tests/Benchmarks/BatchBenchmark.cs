using System.Diagnostics;

namespace Benchmarks;

/// <summary>Throughput: raw and platform in turn, so that a noisy neighbour meets both.</summary>
static class BatchBenchmark
{
    internal static async Task RunAsync(BenchmarkOptions options)
    {
        var inputs = options.Rows.ToDictionary(rows => rows, rows => GeneratedInput.Folder(options, rows));
        using var raw = OpenRaw();
        await using var platform = await Platform.StartAsync(options);

        Console.WriteLine($"Raw and platform in turn, a warm-up and {options.Runs} runs of each, {Environment.ProcessorCount} threads");
        Console.WriteLine();
        Console.WriteLine("| rows | raw s | raw rows/s | raw CPU s | platform s | platform rows/s | platform CPU s | platform / raw | peak memory MiB |");
        Console.WriteLine("|---|---|---|---|---|---|---|---|---|");
        foreach (var (rows, input) in inputs)
        {
            var (raws, platforms) = (new List<(double Seconds, double Cpu)>(), new List<(double Seconds, double Cpu)>());
            platform.ForgetPeak();
            for (var run = 0; run <= options.Runs; run++)
            {
                var (r, p) = (Raw(options, raw, input, rows), await PlatformAsync(platform, input, rows));
                Console.Error.WriteLine(
                    $"{rows:N0} rows, {(run == 0 ? "warm-up" : $"run {run}")}: raw {r.Seconds:0.00} s, platform {p.Seconds:0.00} s");
                if (run == 0)
                    continue;
                raws.Add(r);
                platforms.Add(p);
            }
            var (rawMedian, platformMedian) = (Machine.Median(raws.Select(r => r.Seconds)), Machine.Median(platforms.Select(p => p.Seconds)));
            Console.WriteLine(
                $"| {rows:N0} | {rawMedian:0.00} | {rows / rawMedian:N0} | {Machine.Median(raws.Select(r => r.Cpu)):0.00} "
                + $"| {platformMedian:0.00} | {rows / platformMedian:N0} | {Machine.Median(platforms.Select(p => p.Cpu)):0.00} "
                + $"| {rawMedian / platformMedian:P1} | {platform.PeakMemory() / 1024.0 / 1024:N0} |");
        }
        Console.WriteLine();
    }

    internal static void RunRaw(BenchmarkOptions options)
    {
        using var raw = OpenRaw();
        foreach (var rows in options.Rows)
        {
            var input = GeneratedInput.Folder(options, rows);
            for (var run = 0; run <= options.Runs; run++)
            {
                var (seconds, cpu) = Raw(options, raw, input, rows);
                Console.WriteLine(
                    $"{rows:N0} rows, {(run == 0 ? "warm-up" : $"run {run}")}: {seconds:0.00} s, {rows / seconds:N0} rows/s, {rows / cpu:N0} rows per core-second");
            }
        }
    }

    static RawScoring OpenRaw() => new(Path.Combine(FindSamples(), "models", Platform.Model, "model.onnx"), GeneratedInput.Features);

    static (double Seconds, double Cpu) Raw(BenchmarkOptions options, RawScoring raw, string input, long rows)
    {
        var target = Path.Combine(options.Folder, "raw.parquet");
        var cpu = Environment.CpuUsage.TotalTime;
        var clock = Stopwatch.StartNew();
        var (scored, bad) = raw.Run(input, target);
        var spent = (clock.Elapsed.TotalSeconds, (Environment.CpuUsage.TotalTime - cpu).TotalSeconds);
        File.Delete(target);
        return scored == rows && bad == 0 ? spent : throw new InvalidOperationException($"Raw scored {scored:N0} of {rows:N0} rows, {bad:N0} bad.");
    }

    static async Task<(double Seconds, double Cpu)> PlatformAsync(Platform platform, string input, long rows)
    {
        var cpu = platform.CpuTime;
        var clock = Stopwatch.StartNew();
        var job = await platform.SubmitAsync(input);
        await platform.ManifestAsync(job);
        var spent = (clock.Elapsed.TotalSeconds, (platform.CpuTime - cpu).TotalSeconds);
        var (scored, folder) = await platform.CompletedAsync(job);
        if (scored != rows)
            throw new InvalidOperationException($"The platform scored {scored:N0} of {rows:N0} rows.");
        Directory.Delete(folder, recursive: true);
        return spent;
    }

    internal static string FindSamples()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "Sagas.sln")))
                return Path.Combine(folder.FullName, "samples");
        }
        throw new DirectoryNotFoundException("Run this from a clone of the repository: the samples folder was not found.");
    }
}
