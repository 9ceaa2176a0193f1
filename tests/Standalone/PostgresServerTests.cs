using Npgsql;
using Support;

namespace Standalone.Tests;

[Trait("Category", "Server")]
public sealed class PostgresServerTests(PostgresServer server) : IClassFixture<PostgresServer>
{
    [Fact]
    public async Task Every_database_asked_for_is_another_and_empty()
    {
        var one = await server.CreateDatabaseAsync();
        var two = await server.CreateDatabaseAsync();

        one.ShouldNotBe(two);
        await using var connection = new NpgsqlConnection(two);
        await connection.OpenAsync();
        await using var tables = new NpgsqlCommand("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", connection);
        (await tables.ExecuteScalarAsync()).ShouldBe(0L);
    }
}
