using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using Npgsql;
using Sagas.Persistence;
using ServiceDefaults;

namespace Standalone;

/// <summary>
/// A PostgreSQL of our own in the data folder. It outlives a killed Standalone, and the next start adopts it.
/// The caller holds the data folder's lock.
/// </summary>
public sealed partial class EmbeddedPostgres : IAsyncDisposable
{
    // No schema may be called as the role is: "$user" comes first on the search path.
    const string Superuser = "postgres";
    const string Database = "sagas";
    const int LogBytesKept = 8 << 20;

    readonly EmbeddedPostgresOptions _options;
    readonly ILogger _logger;
    readonly string _programs;
    readonly string _folder;
    readonly string _cluster;
    readonly string _serverLog;
    PostgresAccount _account = null!;
    string _password = "";

    EmbeddedPostgres(EmbeddedPostgresOptions options, ILogger logger)
    {
        _options = options;
        _logger = logger;
        _programs = NativeParts.Postgres(options.Programs);
        _folder = Path.Combine(Path.GetFullPath(options.DataFolder), "postgres");
        _cluster = Path.Combine(_folder, "cluster");
        _serverLog = Path.Combine(_folder, "server.log");
    }

    public int Port { get; private set; }

    public int ProcessId { get; private set; }

    /// <summary>True when the server of an earlier process was found running.</summary>
    public bool Adopted { get; private set; }

    /// <summary>Holds the password: not for logs.</summary>
    public string ConnectionString => ConnectTo(Database);

    string PasswordFile => Path.Combine(_options.DataFolder, "postgres-password");

    string PortFile => Path.Combine(_options.DataFolder, "postgres-port");

    public static async Task<EmbeddedPostgres> StartAsync(EmbeddedPostgresOptions options, ILogger logger, CancellationToken cancellationToken = default)
    {
        var postgres = new EmbeddedPostgres(options, logger);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(options.StartTimeout);
        try
        {
            await postgres.PrepareAsync(limit.Token);
            if (!await postgres.AdoptAsync(limit.Token))
                await postgres.StartServerAsync(null, limit.Token);
            await postgres.CreateDatabaseAsync(limit.Token);
            return postgres;
        }
        catch (NpgsqlException e)
        {
            await postgres.StopAsync(CancellationToken.None);
            throw new PostgresStartException($"PostgreSQL in {postgres._cluster} started, but does not let us in: {e.Message}", e);
        }
        catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
        {
            throw new PostgresStartException($"PostgreSQL did not start within {options.StartTimeout}. Its log: {postgres._serverLog}", e);
        }
    }

    /// <summary>Starts the server again, on the same port, whenever it ends without having been told to.</summary>
    public async Task WatchAsync(CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(500));
        while (await timer.WaitForNextTickAsync(cancellationToken))
        {
            if (IsServer(ProcessId))
                continue;
            LogLost(_logger, ProcessId);
            if (!await AdoptAsync(cancellationToken))
                await StartServerAsync(Port, cancellationToken);
        }
    }

    /// <summary>Ends every connection and stops the server; safe to call when it has already gone.</summary>
    public async Task StopAsync(CancellationToken cancellationToken = default)
    {
        if (ReadPidFile() is not { } running || !IsServer(running.ProcessId))
            return;
        var stopped = await PgCtlAsync(["stop", "-m", "fast", "-w", "-t", "60"], cancellationToken);
        if (stopped.ExitCode != 0)
            stopped = await PgCtlAsync(["stop", "-m", "immediate", "-w", "-t", "30"], cancellationToken);
        if (stopped.ExitCode != 0)
        {
            LogNotStopped(_logger, running.ProcessId, stopped.Output);
            return;
        }

        // pg_ctl waits for the pid file to go; the process goes a moment later.
        for (var waits = 0; waits < 500 && IsServer(running.ProcessId); waits++)
            await Task.Delay(TimeSpan.FromMilliseconds(10), cancellationToken);
        LogStopped(_logger, running.ProcessId);
    }

    public async ValueTask DisposeAsync() => await StopAsync();

    async Task PrepareAsync(CancellationToken cancellationToken)
    {
        Directory.CreateDirectory(_folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        var libraries = PostgresPrograms.LinkLibraries(_programs, Path.Combine(_options.DataFolder, "postgres-libraries"));
        _account = await PostgresAccount.ChooseAsync(_folder, _programs, libraries, cancellationToken);
        _password = await ReadOrCreatePasswordAsync(cancellationToken);
        if (!Directory.Exists(_cluster))
            await CreateClusterAsync(cancellationToken);
    }

    async Task<string> ReadOrCreatePasswordAsync(CancellationToken cancellationToken)
    {
        if (File.Exists(PasswordFile))
            return (await File.ReadAllTextAsync(PasswordFile, cancellationToken)).Trim();
        if (Directory.Exists(_cluster))
            throw new PostgresStartException($"{PasswordFile} is missing, and without it the cluster in {_cluster} cannot be opened. Put it back, or choose another folder with --data.");

        var password = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(24));
        await WritePrivateAsync(PasswordFile, password, cancellationToken);
        return password;
    }

    static async Task WritePrivateAsync(string path, string text, CancellationToken cancellationToken)
    {
        var temporary = path + ".new";
        File.Delete(temporary);
        var options = new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.Write,
            UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
        };
        await using (var file = new FileStream(temporary, options))
        {
            await file.WriteAsync(System.Text.Encoding.ASCII.GetBytes(text + "\n"), cancellationToken);
            file.Flush(flushToDisk: true);
        }

        File.Move(temporary, path, overwrite: true);
    }

    async Task CreateClusterAsync(CancellationToken cancellationToken)
    {
        // Built beside its place and renamed: an interrupted initdb leaves no half cluster.
        var unfinished = Path.Combine(_folder, $"cluster.new.{Environment.ProcessId}");
        var passwordCopy = Path.Combine(_folder, "password");
        foreach (var interrupted in Directory.GetDirectories(_folder, "cluster.new.*"))
            Directory.Delete(interrupted, recursive: true);
        await WritePrivateAsync(passwordCopy, _password, cancellationToken);
        await _account.OwnAsync(_folder, cancellationToken);
        try
        {
            string[] arguments =
            [
                "-D", unfinished, "-U", Superuser, $"--pwfile={passwordCopy}", "--auth=scram-sha-256", "--encoding=UTF8",
                "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "--no-instructions",
            ];
            var made = await _account.TryAsync(Program("initdb"), _options.Durable ? arguments : [.. arguments, "--no-sync"], _folder, cancellationToken);
            if (made.ExitCode != 0)
                throw new PostgresStartException($"initdb failed in {_folder}: {made.Output}");
        }
        finally
        {
            File.Delete(passwordCopy);
        }

        Directory.Move(unfinished, _cluster);
        LogCreated(_logger, _folder);
    }

    async Task<bool> AdoptAsync(CancellationToken cancellationToken)
    {
        while (ReadPidFile() is { } running)
        {
            if (!IsServer(running.ProcessId))
            {
                // PostgreSQL judges a stale file by whether any process has the number: after a reboot a stranger, before init has reaped it the dead one.
                File.Delete(Path.Combine(_cluster, "postmaster.pid"));
                return false;
            }

            if (await ConnectsAsync(running.Port, cancellationToken))
            {
                (Port, ProcessId, Adopted) = (running.Port, running.ProcessId, true);
                LogAdopted(_logger, Port, ProcessId);
                return true;
            }

            // Starting, recovering or still stopping on the order of the process before us.
            await Task.Delay(TimeSpan.FromMilliseconds(50), cancellationToken);
        }

        return false;
    }

    async Task<bool> ConnectsAsync(int port, CancellationToken cancellationToken)
    {
        Port = port;
        try
        {
            await using var connection = new NpgsqlConnection(ConnectTo("postgres") + ";Pooling=false");
            await connection.OpenAsync(cancellationToken);
            return true;
        }
        catch (PostgresException e) when (e.SqlState is PostgresErrorCodes.InvalidPassword or PostgresErrorCodes.InvalidAuthorizationSpecification)
        {
            throw new PostgresStartException($"The PostgreSQL running in {_cluster} does not accept the password in {PasswordFile}.", e);
        }
        catch (NpgsqlException)
        {
            return false;
        }
    }

    /// <param name="mustBe">The port that clients already know.</param>
    async Task StartServerAsync(int? mustBe, CancellationToken cancellationToken)
    {
        if (new FileInfo(_serverLog) is { Exists: true, Length: > LogBytesKept })
            File.Move(_serverLog, _serverLog + ".1", overwrite: true);

        while (true)
        {
            var port = mustBe ?? ChoosePort();
            var before = new FileInfo(_serverLog) is { Exists: true } log ? log.Length : 0;
            var started = await PgCtlAsync(["start", "-w", "-t", "3600", "-s", "-l", _serverLog, "-o", Settings(port)], cancellationToken);
            if (started.ExitCode == 0)
            {
                await File.WriteAllTextAsync(PortFile, port.ToString(CultureInfo.InvariantCulture), cancellationToken);
                (Port, ProcessId) = (port, ReadPidFile()?.ProcessId ?? throw new PostgresStartException($"PostgreSQL ended right after its start. Its log: {_serverLog}"));
                LogStarted(_logger, Port, ProcessId);
                return;
            }

            // Another start of ours may have been killed while its server came up.
            if (await AdoptAsync(cancellationToken))
                return;
            var reason = $"{started.Output} {await ReadLogFromAsync(before, cancellationToken)}".Trim();
            var portTaken = reason.Contains("could not bind", StringComparison.Ordinal);
            // A killed postmaster's children finish their statement before they notice.
            var orphansLeft = reason.Contains("pre-existing shared memory block", StringComparison.Ordinal);
            if (!portTaken && !orphansLeft)
                throw new PostgresStartException($"PostgreSQL did not start in {_cluster}: {reason}");
            LogRetrying(_logger, reason);
            if (portTaken && mustBe is null)
                File.Delete(PortFile);
            else
                await Task.Delay(TimeSpan.FromMilliseconds(200), cancellationToken);
        }
    }

    string Settings(int port) => string.Join(' ', new[]
    {
        $"port={port}",
        "listen_addresses=127.0.0.1",
        "unix_socket_directories=",
        "max_connections=200",
        "shared_buffers=128MB",
        "max_wal_size=2GB",
        "jit=off",
        "timezone=UTC",
        "log_timezone=UTC",
        "log_checkpoints=off",
        // No transaction may stay open across anything but PostgreSQL itself.
        "idle_in_transaction_session_timeout=15s",
        // Never off: a commit whose log is still in the server's memory is lost with a killed server.
        "synchronous_commit=on",
        $"fsync={(_options.Durable ? "on" : "off")}",
        $"full_page_writes={(_options.Durable ? "on" : "off")}",
    }.Select(setting => $"-c {setting}"));

    int ChoosePort()
    {
        if (File.Exists(PortFile) && int.TryParse(File.ReadAllText(PortFile), out var kept) && ListenPort.IsFree(IPAddress.Loopback, kept))
            return kept;
        using var any = new TcpListener(IPAddress.Loopback, 0);
        any.Start();
        return ((IPEndPoint)any.LocalEndpoint).Port;
    }

    async Task CreateDatabaseAsync(CancellationToken cancellationToken)
    {
        await using var connection = new NpgsqlConnection(ConnectTo("postgres") + ";Pooling=false");
        await connection.OpenAsync(cancellationToken);
        await using var exists = new NpgsqlCommand("SELECT 1 FROM pg_database WHERE datname = $1", connection) { Parameters = { new() { Value = Database } } };
        if (await exists.ExecuteScalarAsync(cancellationToken) is not null)
            return;
        await using var create = new NpgsqlCommand($"CREATE DATABASE {Database}", connection);
        await create.ExecuteNonQueryAsync(cancellationToken);
    }

    Task<(int ExitCode, string Output)> PgCtlAsync(string[] arguments, CancellationToken cancellationToken) =>
        _account.TryAsync(Program("pg_ctl"), ["-D", _cluster, .. arguments], _folder, cancellationToken);

    string Program(string name) => Path.Combine(_programs, "bin", name);

    string ConnectTo(string database) => new NpgsqlConnectionStringBuilder(DatabaseOptions.Defaults)
    {
        Host = "127.0.0.1",
        Port = Port,
        Username = Superuser,
        Password = _password,
        Database = database,
        SslMode = SslMode.Disable,
        GssEncryptionMode = GssEncryptionMode.Disable,
    }.ConnectionString;

    (int ProcessId, int Port)? ReadPidFile()
    {
        try
        {
            var lines = File.ReadAllLines(Path.Combine(_cluster, "postmaster.pid"));
            return lines.Length >= 4 && int.TryParse(lines[0], out var pid) && int.TryParse(lines[3], out var port) ? (pid, port) : null;
        }
        catch (IOException)
        {
            return null;
        }
    }

    bool IsServer(int processId)
    {
        try
        {
            var command = File.ReadAllText($"/proc/{processId}/cmdline").Split('\0');
            return Path.GetFileName(command[0]) == "postgres" && command.Contains(_cluster);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    async Task<string> ReadLogFromAsync(long position, CancellationToken cancellationToken)
    {
        if (!File.Exists(_serverLog))
            return "";
        await using var log = new FileStream(_serverLog, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        log.Seek(position, SeekOrigin.Begin);
        using var reader = new StreamReader(log);
        return await reader.ReadToEndAsync(cancellationToken);
    }
}
