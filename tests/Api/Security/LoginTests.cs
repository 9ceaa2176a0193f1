using Npgsql;
using Sagas.Persistence;
using Support;

namespace Api.Tests.Security;

/// <summary>What the platform's login needs, on a database of its own.</summary>
[Trait("Category", "Server")]
public sealed class LoginTests(PostgresServer server) : IClassFixture<PostgresServer>
{
    [Fact]
    public async Task A_login_that_may_make_roles_makes_its_tables_and_gives_itself_no_more_than_it_needs()
    {
        await using var database = PlatformDatabase.Open(await CreateAsync("maker", "CREATEROLE"), "test");
        await database.MigrateAsync();
        await database.MigrateAsync();

        (await AskAsync(database.System, "SELECT current_user::text")).ShouldBe("maker_db_system");
        (await AskAsync(database.System, "SELECT count(*)::text FROM sagas.work_jobs")).ShouldBe("0");
        (await AskAsync(database.Requests, "SELECT current_user::text")).ShouldBe("maker_db_tenant");
        (await Should.ThrowAsync<PostgresException>(() => AskAsync(database.Requests, "SELECT 'x' FROM messaging.dead"))).SqlState.ShouldBe("42501");
        // What the platform does every day as the owner of its tables.
        (await AskAsync(database.System, "CREATE TABLE messaging.inbox_far PARTITION OF messaging.inbox FOR VALUES FROM ('2999-01-01') TO ('2999-01-02'); DROP TABLE messaging.inbox_far; SELECT 'done'")).ShouldBe("done");
    }

    [Fact]
    public async Task A_login_that_may_not_is_told_what_to_ask_for_and_then_works()
    {
        await using var database = PlatformDatabase.Open(await CreateAsync("taker", ""), "test");
        var refused = await Should.ThrowAsync<PostgresException>(() => database.MigrateAsync());
        refused.MessageText.ShouldContain("ALTER ROLE taker CREATEROLE, or CREATE ROLE taker_db_system and GRANT taker_db_system TO taker");

        await ExecuteAsync("CREATE ROLE taker_db_system; CREATE ROLE taker_db_tenant; GRANT taker_db_system, taker_db_tenant TO taker");
        await database.MigrateAsync();
        (await AskAsync(database.System, "SELECT current_user::text")).ShouldBe("taker_db_system");
    }

    [Fact]
    public async Task A_role_that_could_bypass_the_rows_security_is_refused()
    {
        await using var database = PlatformDatabase.Open(await CreateAsync("careless", ""), "test");
        await ExecuteAsync("CREATE ROLE careless_db_system; CREATE ROLE careless_db_tenant BYPASSRLS; GRANT careless_db_system, careless_db_tenant TO careless");
        (await Should.ThrowAsync<PostgresException>(() => database.MigrateAsync())).MessageText.ShouldContain("could bypass row-level security");
    }

    async Task<string> CreateAsync(string login, string right)
    {
        await ExecuteAsync($"CREATE ROLE {login} LOGIN {right} PASSWORD 'p'");
        await ExecuteAsync($"CREATE DATABASE {login}_db OWNER {login}");
        return new NpgsqlConnectionStringBuilder(server.ConnectionString) { Username = login, Password = "p", Database = $"{login}_db" }.ConnectionString;
    }

    async Task ExecuteAsync(string sql)
    {
        await using var source = NpgsqlDataSource.Create(server.ConnectionString);
        await using var command = source.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }

    static async Task<string> AskAsync(NpgsqlDataSource source, string sql)
    {
        await using var command = source.CreateCommand(sql);
        await using var reader = await command.ExecuteReaderAsync();
        do
        {
            if (await reader.ReadAsync())
                return reader.GetString(0);
        }
        while (await reader.NextResultAsync());
        throw new InvalidOperationException("No row came.");
    }
}
