using System.Net;

namespace Standalone;

/// <param name="DataFolder">Where everything is kept. Default: <c>./.data</c>.</param>
/// <param name="Address">Where it listens; beyond this machine only with authentication. Default: 127.0.0.1.</param>
/// <param name="Port">0 takes any. Default: 8080, or the next free one.</param>
/// <param name="Sample">Submit the sample job once ready and show how it goes.</param>
/// <param name="Once">End after the sample job, with 0 if it went well.</param>
/// <param name="Settings">Left for the configuration: <c>--Section:Key=value</c>.</param>
public sealed record StandaloneOptions(string DataFolder, IPAddress Address, int? Port, bool Sample, bool Once, string[] Settings)
{
    public const string Usage = "Usage: Standalone [--data FOLDER] [--address ADDRESS] [--port PORT] [--sample] [--once] [--Section:Key=value ...]";

    public static StandaloneOptions Parse(string[] args)
    {
        var options = new StandaloneOptions(".data", IPAddress.Loopback, null, false, false, []);
        var rest = new Queue<string>(args);
        while (rest.TryDequeue(out var arg))
        {
            options = arg switch
            {
                "--data" when rest.TryDequeue(out var folder) && folder.Length > 0 => options with { DataFolder = folder },
                "--address" when rest.TryDequeue(out var text) && IPAddress.TryParse(text, out var address) => options with { Address = address },
                "--port" when rest.TryDequeue(out var text) && ushort.TryParse(text, out var port) => options with { Port = port },
                "--sample" => options with { Sample = true },
                "--once" => options with { Sample = true, Once = true },
                _ when arg.StartsWith("--", StringComparison.Ordinal) && arg.Contains(':') && arg.Contains('=') => options with { Settings = [.. options.Settings, arg] },
                _ => throw new StandaloneUsageException($"Cannot make sense of {arg}. {Usage}"),
            };
        }

        return options;
    }
}

public sealed class StandaloneUsageException(string message) : Exception(message);
