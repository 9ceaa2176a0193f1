using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using ServiceDefaults;
using Support;

namespace Standalone.Tests;

[Trait("Category", "Server")]
public sealed class EmbeddedPostgresTests : IAsyncLifetime
{
    readonly TestFolder _folder = new();

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        await PostgresProcess.KillAsync(_folder.Path);
        _folder.Dispose();
    }

    [Fact]
    public async Task A_fresh_folder_gets_a_durable_server_on_loopback_with_its_own_database()
    {
        await using var postgres = await StartAsync();

        new NpgsqlConnectionStringBuilder(postgres.ConnectionString).Database.ShouldBe("sagas");
        (await ScalarAsync(postgres, "SHOW listen_addresses")).ShouldBe("127.0.0.1");
        (await ScalarAsync(postgres, "SHOW unix_socket_directories")).ShouldBe("");
        (await ScalarAsync(postgres, "SHOW fsync")).ShouldBe("on");
        (await ScalarAsync(postgres, "SHOW synchronous_commit")).ShouldBe("on");
        (await ScalarAsync(postgres, "SHOW idle_in_transaction_session_timeout")).ShouldBe("15s");
        (await ScalarAsync(postgres, "SHOW server_encoding")).ShouldBe("UTF8");
        (await ScalarAsync(postgres, "SHOW server_version_num")).ToString()!.ShouldStartWith("18");
    }

    [Fact]
    public async Task A_clean_stop_ends_the_server_and_a_restart_keeps_data_password_and_port()
    {
        var first = await StartAsync();
        await ExecuteAsync(first, "CREATE TABLE kept AS SELECT 42 AS answer");
        await first.StopAsync();
        Signals.IsAlive(first.ProcessId).ShouldBeFalse();

        await using var second = await StartAsync();

        second.Adopted.ShouldBeFalse();
        second.ConnectionString.ShouldBe(first.ConnectionString);
        (await ScalarAsync(second, "SELECT answer FROM kept")).ShouldBe(42);
    }

    [Fact]
    public async Task A_server_that_outlived_its_owner_is_adopted()
    {
        var first = await StartAsync();

        await using var second = await StartAsync();

        second.Adopted.ShouldBeTrue();
        second.ProcessId.ShouldBe(first.ProcessId);
        (await ScalarAsync(second, "SELECT 1")).ShouldBe(1);
    }

    [Fact]
    public async Task A_killed_server_is_recovered_with_everything_committed()
    {
        var first = await StartAsync();
        await ExecuteAsync(first, "CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n");
        await PostgresProcess.KillAsync(_folder.Path);
        File.Exists(_folder["postgres/cluster/postmaster.pid"]).ShouldBeTrue();

        await using var second = await StartAsync();

        second.Adopted.ShouldBeFalse();
        (await ScalarAsync(second, "SELECT sum(n) FROM kept")).ShouldBe(500500L);
    }

    [Fact]
    public async Task A_stale_pid_file_that_names_a_stranger_does_not_stop_the_start()
    {
        await (await StartAsync()).StopAsync();
        await File.WriteAllTextAsync(_folder["postgres/cluster/postmaster.pid"], $"{Environment.ProcessId}\n{_folder["postgres/cluster"]}\n0\n1\n");

        await using var second = await StartAsync();

        second.ProcessId.ShouldNotBe(Environment.ProcessId);
        (await ScalarAsync(second, "SELECT 1")).ShouldBe(1);
    }

    [Fact]
    public async Task A_port_taken_meanwhile_is_exchanged_for_another()
    {
        var first = await StartAsync();
        await first.StopAsync();
        using var other = new System.Net.Sockets.TcpListener(System.Net.IPAddress.Loopback, first.Port);
        other.Start();

        await using var second = await StartAsync();

        second.Port.ShouldNotBe(first.Port);
        (await ScalarAsync(second, "SELECT 1")).ShouldBe(1);
    }

    [Fact]
    public async Task Only_the_generated_password_opens_it_and_only_its_owner_can_read_the_file()
    {
        await using var postgres = await StartAsync();

        File.GetUnixFileMode(_folder["postgres-password"]).ShouldBe(UnixFileMode.UserRead | UnixFileMode.UserWrite);
        var wrong = new NpgsqlConnectionStringBuilder(postgres.ConnectionString) { Password = "guess", Pooling = false };
        await using var connection = new NpgsqlConnection(wrong.ConnectionString);
        (await Should.ThrowAsync<PostgresException>(connection.OpenAsync())).SqlState.ShouldBe(PostgresErrorCodes.InvalidPassword);
        (await ScalarAsync(postgres, "SELECT string_agg(DISTINCT auth_method, ',') FROM pg_hba_file_rules")).ShouldBe("scram-sha-256");
        (await ScalarAsync(postgres, "SELECT rolpassword LIKE 'SCRAM-SHA-256$%' FROM pg_authid WHERE rolname = current_user")).ShouldBe(true);
        File.Exists(_folder["postgres/password"]).ShouldBeFalse();
    }

    [Fact]
    public async Task A_lost_password_file_is_named()
    {
        await (await StartAsync()).StopAsync();
        File.Delete(_folder["postgres-password"]);

        var refused = await Should.ThrowAsync<PostgresStartException>(StartAsync);

        refused.Message.ShouldContain(_folder["postgres-password"]);
    }

    [RootFact]
    public async Task Root_has_programs_and_data_below_a_folder_that_only_root_may_enter()
    {
        using var closed = new TestFolder();
        File.SetUnixFileMode(closed.Path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        var programs = NativeParts.Postgres();
        foreach (var file in Directory.GetFiles(programs, "*", SearchOption.AllDirectories).Where(f => new FileInfo(f).LinkTarget is null))
        {
            var copy = Path.Combine(closed["native"], Path.GetRelativePath(programs, file));
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(file, copy);
        }

        var options = new EmbeddedPostgresOptions { DataFolder = closed["data"], Programs = closed["native"] };
        await using var postgres = await EmbeddedPostgres.StartAsync(options, NullLogger.Instance);

        (await ScalarAsync(postgres, "SELECT 1")).ShouldBe(1);
        File.ReadAllText($"/proc/{postgres.ProcessId}/status").ShouldContain("Uid:\t65534\t65534");
    }

    [Fact]
    public void A_second_owner_of_the_folder_is_refused_by_pid_and_folder()
    {
        using var first = DataFolder.Open(_folder.Path);

        var refused = Should.Throw<DataFolderInUseException>(() => DataFolder.Open(_folder.Path));

        refused.ProcessId.ShouldBe(Environment.ProcessId);
        refused.Message.ShouldContain(_folder.Path);
    }

    Task<EmbeddedPostgres> StartAsync() => StartAsync(_folder.Path);

    static Task<EmbeddedPostgres> StartAsync(string folder) =>
        EmbeddedPostgres.StartAsync(new EmbeddedPostgresOptions { DataFolder = folder }, NullLogger.Instance);

    static async Task<object> ScalarAsync(EmbeddedPostgres postgres, string sql)
    {
        await using var connection = new NpgsqlConnection(postgres.ConnectionString + ";Pooling=false");
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        return (await command.ExecuteScalarAsync())!;
    }

    static async Task ExecuteAsync(EmbeddedPostgres postgres, string sql)
    {
        await using var connection = new NpgsqlConnection(postgres.ConnectionString + ";Pooling=false");
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync();
    }
}
