using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;
using Npgsql;

namespace Sagas.Persistence;

/// <summary>The platform's PostgreSQL, by what each connection may do.</summary>
public sealed class PlatformDatabase : IAsyncDisposable
{
    // It makes the tables and is idle ever after.
    const int OwnerPoolSize = 2;

    readonly NpgsqlDataSource _owner;

    PlatformDatabase(NpgsqlDataSource owner, NpgsqlDataSource system, NpgsqlDataSource requests, PlatformRoles roles) =>
        (_owner, System, Requests, Roles) = (owner, system, requests, roles);

    public PlatformRoles Roles { get; }

    /// <summary>For what the platform does by itself: every tenant's rows. Usable once the tables are there.</summary>
    public NpgsqlDataSource System { get; }

    /// <summary>For what somebody asks for: no rows at all, until a transaction names a tenant.</summary>
    public NpgsqlDataSource Requests { get; }

    /// <param name="requestsConnectionString">A login of its own for <see cref="Requests"/>, a member of <see cref="PlatformRoles.Tenant"/> alone; null: the same login in that role.</param>
    /// <param name="password">Asked at each new connection; null: it is in the connection string, or none is needed.</param>
    public static PlatformDatabase Open(string connectionString, string application, string? requestsConnectionString = null, Func<string>? password = null)
    {
        var roles = PlatformRoles.Of(new NpgsqlConnectionStringBuilder(connectionString).Database ?? "");
        return new PlatformDatabase(
            Create(connectionString, application, null, password, OwnerPoolSize),
            Create(connectionString, application, roles.System, password),
            Create(requestsConnectionString ?? connectionString, application, roles.Tenant, requestsConnectionString is null ? password : null),
            roles);
    }

    /// <summary>Makes the tables and roles, or brings them up to date.</summary>
    public async Task MigrateAsync(CancellationToken cancellationToken = default)
    {
        var options = new DbContextOptionsBuilder<PlatformDbContext>();
        UseNpgsql(options, _owner);
        await using var db = new PlatformDbContext(options.Options);
        await db.Database.MigrateAsync(cancellationToken);
    }

    /// <summary>A connection of the login itself, which may lock what the migration needs.</summary>
    internal ValueTask<NpgsqlConnection> OpenOwnerAsync(CancellationToken cancellationToken) => _owner.OpenConnectionAsync(cancellationToken);

    // Named: without a schema a role called sagas would find another table the second time, when its schema is there.
    internal static void UseNpgsql(DbContextOptionsBuilder db, NpgsqlDataSource source) =>
        db.UseNpgsql(source, npgsql => npgsql.MigrationsHistoryTable(HistoryRepository.DefaultTableName, "public"));

    static NpgsqlDataSource Create(string connectionString, string application, string? role, Func<string>? password, int? poolSize = null)
    {
        var builder = new NpgsqlDataSourceBuilder(DatabaseOptions.Defaults + connectionString);
        var settings = builder.ConnectionStringBuilder;
        settings.ApplicationName ??= application;
        settings.MaxPoolSize = poolSize ?? settings.MaxPoolSize;
        settings.MinPoolSize = poolSize is null ? settings.MinPoolSize : 0;
        // No transaction may stay open across anything but PostgreSQL itself.
        settings.Options = $"{settings.Options} -c idle_in_transaction_session_timeout=15s".TrimStart();
        if (role is not null)
            settings.Options += $" -c role={Escape(role)}";
        if (password is not null)
            builder.UsePasswordProvider(_ => password(), (_, _) => new(password()));
        return builder.Build();
    }

    static string Escape(string option) => option.Replace(@"\", @"\\", StringComparison.Ordinal).Replace(" ", @"\ ", StringComparison.Ordinal);

    public async ValueTask DisposeAsync()
    {
        await Requests.DisposeAsync();
        await System.DisposeAsync();
        await _owner.DisposeAsync();
    }
}
