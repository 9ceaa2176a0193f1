using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;

namespace Standalone;

/// <summary>Runs PostgreSQL's programs. They refuse root, so for root they run as an account without rights.</summary>
sealed class PostgresAccount
{
    const int Nobody = 65534;
    const int DacReadSearch = 2;

    readonly string[] _prefix;
    readonly Dictionary<string, string> _environment;

    PostgresAccount(string[] prefix, Dictionary<string, string> environment, int? uid) =>
        (_prefix, _environment, Uid) = (prefix, environment, uid);

    /// <summary>Null where the programs run under the account of this process.</summary>
    int? Uid { get; }

    /// <param name="folder">The folder that belongs to PostgreSQL alone.</param>
    /// <param name="programs">The folder with PostgreSQL's bin.</param>
    public static async Task<PostgresAccount> ChooseAsync(string folder, string programs, string? libraries, CancellationToken cancellationToken)
    {
        var environment = new Dictionary<string, string> { ["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", ["LC_ALL"] = "C" };
        // A backend frees what a statement took, and glibc gives it back to the kernel each time, which costs more than many a statement.
        (environment["MALLOC_TOP_PAD_"], environment["MALLOC_TRIM_THRESHOLD_"]) = ("1048576", "8388608");
        if (libraries is not null)
            environment["LD_LIBRARY_PATH"] = libraries;
        if (!IsRoot())
            return new PostgresAccount([], environment, null);

        // An account that already owns the folder keeps it: a cluster made by an ordinary user stays usable for that user.
        var owner = await RunAsync("stat", ["-c", "%u", folder], environment, folder, cancellationToken);
        var uid = int.Parse(owner.Output, CultureInfo.InvariantCulture) is > 0 and var existing ? existing : Nobody;
        string[] drop = ["setpriv", $"--reuid={uid}", $"--regid={uid}", "--clear-groups"];
        // The secure bit is for access(2), which else ignores capabilities of an ordinary account; PostgreSQL asks it about its programs.
        if (HasCapability(DacReadSearch))
            return new PostgresAccount([.. drop, "--securebits=+no_setuid_fixup", "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"], environment, uid);

        var postgres = Path.Combine(programs, "bin", "postgres");
        var account = new PostgresAccount(drop, environment, uid);
        foreach (var path in new[] { folder, postgres })
        {
            if (await account.TryAsync("test", ["-x", path], "/", cancellationToken) is { ExitCode: not 0 } refused)
            {
                throw new PostgresStartException(
                    $"PostgreSQL refuses to run as root, and as uid {uid} it cannot reach {path}, because this process lacks the capability dac_read_search. "
                    + $"Run as an ordinary user, or keep clone and data below folders that every user may enter (--data /var/tmp/sagas). {refused.Output}");
            }
        }

        return account;
    }

    /// <summary>Gives a folder that this process made to the account.</summary>
    public async Task OwnAsync(string folder, CancellationToken cancellationToken)
    {
        if (Uid is { } uid && await RunAsync("chown", ["-R", $"{uid}:{uid}", folder], _environment, folder, cancellationToken) is { ExitCode: not 0 } failed)
            throw new PostgresStartException($"Could not give {folder} to uid {uid}: {failed.Output}");
    }

    public Task<(int ExitCode, string Output)> TryAsync(string program, string[] arguments, string folder, CancellationToken cancellationToken)
    {
        string[] command = [.. _prefix, program, .. arguments];
        return RunAsync(command[0], command[1..], _environment, folder, cancellationToken);
    }

    static async Task<(int ExitCode, string Output)> RunAsync(
        string program, string[] arguments, Dictionary<string, string> environment, string folder, CancellationToken cancellationToken)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            WorkingDirectory = folder,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment.Clear();
        foreach (var (name, value) in environment)
            start.Environment[name] = value;

        using var process = Start(start);
        process.StandardInput.Close();
        try
        {
            var output = process.StandardOutput.ReadToEndAsync(cancellationToken);
            var error = process.StandardError.ReadToEndAsync(cancellationToken);
            await process.WaitForExitAsync(cancellationToken);
            return (process.ExitCode, (await output + await error).Trim());
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            throw;
        }
    }

    static Process Start(ProcessStartInfo start)
    {
        try
        {
            return Process.Start(start)!;
        }
        catch (Win32Exception e)
        {
            throw new PostgresStartException($"Could not run {start.FileName}: {e.Message}", e);
        }
    }

    static bool IsRoot() => Status("Uid:")?.Split('\t', StringSplitOptions.RemoveEmptyEntries)[1] == "0";

    static bool HasCapability(int bit) =>
        Status("CapEff:") is { } text && (ulong.Parse(text, NumberStyles.HexNumber, CultureInfo.InvariantCulture) >> bit & 1) == 1;

    static string? Status(string field) =>
        File.ReadLines("/proc/self/status").FirstOrDefault(line => line.StartsWith(field, StringComparison.Ordinal))?[field.Length..].Trim();
}
