using System.Net.Http.Json;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using Sagas.Persistence;

namespace Api.Tests.Security;

/// <summary>An API whose query filters are gone: what is still hidden is hidden by PostgreSQL.</summary>
public sealed class UnfilteredHost : SecuredHost
{
    private protected override void Change(IServiceCollection services) =>
        services.ConfigureDbContext<TenantDbContext>(db => db.ReplaceService<IModelCustomizer, WithoutFilters>());

    sealed class WithoutFilters(ModelCustomizerDependencies dependencies) : RelationalModelCustomizer(dependencies)
    {
        public override void Customize(ModelBuilder modelBuilder, DbContext context)
        {
            base.Customize(modelBuilder, context);
            foreach (var entity in modelBuilder.Model.GetEntityTypes())
                entity.SetQueryFilter(null);
        }
    }
}

[Trait("Category", "Server")]
public sealed class IsolationTests(UnfilteredHost host) : IClassFixture<UnfilteredHost>
{
    [Fact]
    public async Task Without_the_filters_another_tenants_things_are_still_not_there()
    {
        await using var scope = Scope("acme");
        scope.ServiceProvider.GetRequiredService<PlatformDbContext>().Model.GetEntityTypes().ShouldAllBe(e => e.GetDeclaredQueryFilters().Count == 0);

        var acme = host.As("acme", "admin");
        foreach (var path in new[] { $"batch-inference/jobs/{host.Job}", $"batch-inference/jobs/{host.Job}/shards", $"batch-inference/jobs/{host.Job}/events", "models/risk", $"operations/api-keys/{host.Key}" })
            ((int)(await acme.GetAsync($"/api/v1/{path}")).StatusCode).ShouldBe(404, path);
        (await (await acme.GetAsync("/api/v1/batch-inference/jobs")).JsonAsync()).GetProperty("jobs").GetArrayLength().ShouldBe(0);
        (await (await acme.GetAsync("/api/v1/models")).JsonAsync()).GetProperty("models").GetArrayLength().ShouldBe(0);
        (await acme.GetStringAsync("/api/v1/operations/api-keys")).ShouldNotContain("local");
        (await acme.GetStringAsync("/api/v1/operations/audit")).ShouldNotContain(host.Key);
        ((int)(await acme.PostAsJsonAsync($"/api/v1/batch-inference/jobs/{host.Job}/cancel", new { reason = "Not mine." })).StatusCode).ShouldBe(404);
        ((int)(await acme.PostAsJsonAsync($"/api/v1/operations/api-keys/{host.Key}/revoke", new { reason = "Not mine." })).StatusCode).ShouldBe(404);
        ((int)(await host.As("local", "viewer").GetAsync($"/api/v1/batch-inference/jobs/{host.Job}")).StatusCode).ShouldBe(200);
    }

    [Fact]
    public async Task A_tenant_reads_no_row_of_another_in_any_table()
    {
        foreach (var table in await TenantTablesAsync())
        {
            await using var acme = Scope("acme");
            await using var local = Scope("local");
            (await CountAsync(acme, $"SELECT count(*)::int AS \"Value\" FROM sagas.{table} WHERE tenant <> 'acme'")).ShouldBe(0, table);
            if (table is not "idempotent_requests" and not "batch_jobs")
                (await CountAsync(local, $"SELECT count(*)::int AS \"Value\" FROM sagas.{table} WHERE tenant = 'local'")).ShouldBeGreaterThan(0, table);
        }
    }

    [Fact]
    public async Task A_tenant_changes_no_row_of_another()
    {
        await using var acme = Scope("acme");
        var db = acme.ServiceProvider.GetRequiredService<PlatformDbContext>();
        (await db.Database.ExecuteSqlAsync($"UPDATE sagas.work_jobs SET priority = 7")).ShouldBe(0);
        (await db.Database.ExecuteSqlAsync($"UPDATE sagas.work_units SET attempt = 7")).ShouldBe(0);
        (await db.Database.ExecuteSqlAsync($"UPDATE sagas.api_keys SET revoked_at = now() WHERE tenant = 'local'")).ShouldBe(0);
        foreach (var forbidden in new[]
                 {
                     "INSERT INTO sagas.models SELECT 'local', 'theirs', version, uri, bytes, description, signature, rows_per_second, registered_at FROM sagas.models",
                     "INSERT INTO sagas.models VALUES ('local', 'theirs', 'v', 'u', 1, NULL, '{}', 1, now())",
                     "DELETE FROM sagas.work_jobs", "DELETE FROM sagas.models", "UPDATE sagas.batch_jobs SET tenant = 'acme'",
                     "INSERT INTO sagas.audit_entries SELECT * FROM sagas.audit_entries", "UPDATE sagas.audit_heads SET seq = 0", "SELECT sha256 FROM sagas.api_keys",
                     "SELECT * FROM messaging.dead", "SELECT * FROM messaging.inbox", "SELECT body FROM messaging.outbox", "SELECT * FROM sagas.work_workers",
                     "TRUNCATE sagas.work_jobs", "CREATE TABLE sagas.mine (id int)",
                 })
        {
            if (forbidden.StartsWith("INSERT INTO sagas.models SELECT", StringComparison.Ordinal))
                (await db.Database.ExecuteSqlRawAsync(forbidden.Replace("{", "{{", StringComparison.Ordinal).Replace("}", "}}", StringComparison.Ordinal))).ShouldBe(0, forbidden);
            else
                (await Should.ThrowAsync<PostgresException>(() => db.Database.ExecuteSqlRawAsync(forbidden.Replace("{", "{{", StringComparison.Ordinal).Replace("}", "}}", StringComparison.Ordinal)), forbidden))
                    .SqlState.ShouldBe(PostgresErrorCodes.InsufficientPrivilege, forbidden);
        }
    }

    [Fact]
    public async Task A_request_takes_back_messages_of_its_own_jobs_alone()
    {
        await host.ExecuteAsync(
            $"""
            INSERT INTO messaging.outbox (id, message_id, destination, message_type, content_type, body, sent_at, visible_at, due_at, group_key)
            SELECT gen_random_uuid(), gen_random_uuid(), 'queue:x', 'urn:message:X', 'application/json', '', now(), 'infinity', 'infinity', k FROM unnest(ARRAY['{host.Job}', 'no job']) k
            """);
        await using var acme = Scope("acme");
        (await acme.ServiceProvider.GetRequiredService<PlatformDbContext>().Database.ExecuteSqlAsync($"DELETE FROM messaging.outbox WHERE group_key IS NOT NULL")).ShouldBe(0);
        await using var local = Scope("local");
        (await local.ServiceProvider.GetRequiredService<PlatformDbContext>().Database.ExecuteSqlAsync($"DELETE FROM messaging.outbox WHERE group_key IS NOT NULL")).ShouldBe(1);
        await host.ExecuteAsync("DELETE FROM messaging.outbox WHERE group_key = 'no job'");
    }

    [Fact]
    public async Task Who_names_no_tenant_sees_nothing()
    {
        await using var scope = host.Services.CreateAsyncScope();
        scope.ServiceProvider.GetRequiredService<DataScope>().SeeNothing();
        foreach (var table in await TenantTablesAsync())
            (await CountAsync(scope, $"SELECT count(*)::int AS \"Value\" FROM sagas.{table}")).ShouldBe(0, table);

        await using var connection = await host.Services.GetRequiredService<PlatformDatabase>().Requests.OpenConnectionAsync();
        foreach (var table in await TenantTablesAsync())
        {
            await using var command = new NpgsqlCommand($"SELECT count(*) FROM sagas.{table}", connection);
            (await command.ExecuteScalarAsync()).ShouldBe(0L, table);
        }
    }

    [Fact]
    public async Task A_connection_keeps_no_tenant_after_its_transaction()
    {
        await using (var scope = Scope("local"))
            (await scope.ServiceProvider.GetRequiredService<PlatformDbContext>().WorkJobs.CountAsync()).ShouldBeGreaterThan(0);
        await using var connection = await host.Services.GetRequiredService<PlatformDatabase>().Requests.OpenConnectionAsync();
        await using var command = new NpgsqlCommand("SELECT coalesce(current_setting('sagas.tenant', true), '')", connection);
        (await command.ExecuteScalarAsync()).ShouldBe("");
    }

    [Fact]
    public async Task A_login_of_its_own_cannot_leave_its_role()
    {
        var roles = host.Services.GetRequiredService<PlatformDatabase>().Roles;
        await host.ExecuteAsync($"CREATE ROLE {roles.Tenant}_login LOGIN PASSWORD 'p' IN ROLE {roles.Tenant}");
        var login = new NpgsqlConnectionStringBuilder(host.ConnectionString) { Username = $"{roles.Tenant}_login", Password = "p" }.ConnectionString;
        await using var database = PlatformDatabase.Open(host.ConnectionString, "test", login);
        await using var connection = await database.Requests.OpenConnectionAsync();
        foreach (var escape in new[] { $"SET ROLE {roles.System}", "SET ROLE postgres", "SET SESSION AUTHORIZATION postgres", "ALTER TABLE sagas.work_jobs DISABLE ROW LEVEL SECURITY", "SET row_security = off; SELECT * FROM sagas.work_jobs" })
        {
            await using var command = new NpgsqlCommand(escape, connection);
            (await Should.ThrowAsync<PostgresException>(() => command.ExecuteNonQueryAsync(), escape)).SqlState.ShouldBe(PostgresErrorCodes.InsufficientPrivilege, escape);
        }
    }

    [Fact]
    public async Task Every_table_has_row_level_security_and_the_tenants_role_cannot_bypass_it()
    {
        await using var source = NpgsqlDataSource.Create(host.ConnectionString);
        await using var open = source.CreateCommand(
            """
            SELECT coalesce(string_agg(c.oid::regclass::text, ', '), '') FROM pg_class c
            WHERE c.relnamespace IN ('sagas'::regnamespace, 'messaging'::regnamespace) AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND NOT c.relrowsecurity
                AND c.relname <> 'seen'
            """);
        (await open.ExecuteScalarAsync()).ShouldBe("");
        await using var rights = source.CreateCommand($"SELECT rolsuper OR rolbypassrls OR rolcreaterole OR rolcanlogin FROM pg_roles WHERE rolname = '{host.Services.GetRequiredService<PlatformDatabase>().Roles.Tenant}'");
        (await rights.ExecuteScalarAsync()).ShouldBe(false);
        await using var owned = source.CreateCommand(
            $"SELECT count(*) FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner WHERE c.relnamespace IN ('sagas'::regnamespace, 'messaging'::regnamespace) AND c.relkind IN ('r', 'p') AND r.rolname <> '{host.Services.GetRequiredService<PlatformDatabase>().Roles.System}'");
        (await owned.ExecuteScalarAsync()).ShouldBe(0L);
    }

    AsyncServiceScope Scope(string tenant)
    {
        var scope = host.Services.CreateAsyncScope();
        scope.ServiceProvider.GetRequiredService<DataScope>().See(tenant);
        return scope;
    }

    static async Task<int> CountAsync(AsyncServiceScope scope, string sql) =>
        (await scope.ServiceProvider.GetRequiredService<PlatformDbContext>().Database.SqlQueryRaw<int>(sql).ToListAsync()).Single();

    // Those with a tenant, as the database has them: one that is added later is asked too.
    async Task<IReadOnlyList<string>> TenantTablesAsync()
    {
        await using var source = NpgsqlDataSource.Create(host.ConnectionString);
        await using var command = source.CreateCommand("SELECT array_agg(table_name::text) FROM information_schema.columns WHERE table_schema = 'sagas' AND column_name = 'tenant'");
        var tables = (string[])(await command.ExecuteScalarAsync())!;
        tables.Length.ShouldBeGreaterThanOrEqualTo(8);
        return tables;
    }
}
