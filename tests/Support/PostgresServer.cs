using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using Standalone;
using Xunit;

namespace Support;

/// <summary>
/// A fixture: one private PostgreSQL for the whole test process, started at first use. What a killed test process left behind
/// is cleaned by the next.
/// </summary>
public sealed class PostgresServer : IAsyncLifetime
{
    const string Prefix = "sagas-test-postgres-";

    static readonly Lazy<Task<EmbeddedPostgres>> Server = new(StartAsync);
    static int _databases;

    /// <summary>Connects as superuser, to the database that every test shares.</summary>
    public string ConnectionString { get; private set; } = "";

    public async Task InitializeAsync() => ConnectionString = (await Server.Value).ConnectionString;

    public Task DisposeAsync() => Task.CompletedTask;

    /// <summary>A fresh, empty database.</summary>
    public async Task<string> CreateDatabaseAsync(CancellationToken cancellationToken = default)
    {
        var name = $"test_{Interlocked.Increment(ref _databases)}";
        await using var connection = new NpgsqlConnection(ConnectionString);
        await connection.OpenAsync(cancellationToken);
        await using var create = new NpgsqlCommand($"CREATE DATABASE {name}", connection);
        await create.ExecuteNonQueryAsync(cancellationToken);
        return new NpgsqlConnectionStringBuilder(ConnectionString) { Database = name }.ConnectionString;
    }

    static async Task<EmbeddedPostgres> StartAsync()
    {
        foreach (var stale in Directory.GetDirectories(Path.GetTempPath(), Prefix + "*"))
            await CleanAsync(stale);

        var folder = DataFolder.Open(Path.Combine(Path.GetTempPath(), Prefix + Guid.CreateVersion7().ToString("N")));
        var server = await EmbeddedPostgres.StartAsync(new EmbeddedPostgresOptions { DataFolder = folder.Path, Durable = false }, NullLogger.Instance);
        AppDomain.CurrentDomain.ProcessExit += (_, _) =>
        {
            // SIGQUIT: the data go anyway.
            Signals.Send(server.ProcessId, Signals.Quit);
            SpinWait.SpinUntil(() => !Signals.IsAlive(server.ProcessId), TimeSpan.FromSeconds(10));
            Directory.Delete(folder.Path, recursive: true);
            folder.Dispose();
        };
        return server;
    }

    static async Task CleanAsync(string stale)
    {
        try
        {
            using var folder = DataFolder.Open(stale);
            await PostgresProcess.KillAsync(stale);
            Directory.Delete(stale, recursive: true);
        }
        catch (Exception e) when (e is DataFolderInUseException or IOException or UnauthorizedAccessException)
        {
            // Another test process's, running or cleaning as we are.
        }
    }
}
