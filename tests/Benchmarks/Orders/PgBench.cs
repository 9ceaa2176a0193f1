using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using Npgsql;

namespace Benchmarks.Orders;

/// <summary>What the server can do at best: one small transaction after the other.</summary>
static partial class PgBench
{
    const int Clients = 16;
    const int Seconds = 5;

    static bool _filled;

    /// <summary>Transactions a second; null where there is no pgbench.</summary>
    public static async Task<double?> RunAsync(string server)
    {
        if (!(Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Any(folder => File.Exists(Path.Combine(folder, "pgbench"))))
            return null;
        var text = new NpgsqlConnectionStringBuilder(server);
        string[] connection = ["-h", text.Host!, "-p", $"{text.Port}", "-U", text.Username!, "postgres"];
        if (!_filled)
            await ChildProgram.RunAsync("pgbench", ["-i", "-q", "-s", "20", .. connection], "/", text.Password!);
        _filled = true;
        var output = await ChildProgram.RunAsync(
            "pgbench", ["-N", "-n", "-M", "prepared", "-c", $"{Clients}", "-j", "2", "-T", $"{Seconds}", .. connection], "/", text.Password!);
        return Rate().Match(output) is { Success: true } match
            ? double.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture)
            : throw new InvalidOperationException($"pgbench says no rate: {output}");
    }

    [GeneratedRegex(@"tps = ([\d.]+)")]
    internal static partial Regex Rate();
}

/// <summary>Runs a program to its end.</summary>
static class ChildProgram
{
    public static async Task<string> RunAsync(string file, string[] arguments, string folder, string password)
    {
        var start = new ProcessStartInfo(file, arguments) { WorkingDirectory = folder, RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["PGPASSWORD"] = password;
        using var process = Process.Start(start)!;
        var (output, error) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        await process.WaitForExitAsync();
        return process.ExitCode == 0 ? await output + await error : throw new InvalidOperationException($"{file} failed: {await output}{await error}");
    }
}
