using System.Data.Common;
using MassTransit;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Migrations;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using Npgsql;

namespace Sagas.Persistence;

public static class DatabaseRegistration
{
    /// <summary>
    /// The platform's PostgreSQL by <see cref="DatabaseOptions"/>, and its tables: any number of hosts bring them up to date, one after the
    /// other, as soon as the server answers. Until then the host lives, but its bus does not start.
    /// </summary>
    public static IHostApplicationBuilder AddPlatformDatabase(this IHostApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddOptions<DatabaseOptions>().Configure(options => DatabaseOptions.Bind(options, builder.Configuration)).ValidateOnStart();
        services.AddSingleton<IValidateOptions<DatabaseOptions>, DatabaseOptions.Validator>();
        services.AddPlatformDatabase(provider =>
            provider.GetRequiredService<IOptions<DatabaseOptions>>().Value.CreateDataSource($"Sagas.{builder.Environment.ApplicationName}"));
        services.AddSingleton<DatabaseMigration>();
        services.AddHostedService(provider => provider.GetRequiredService<DatabaseMigration>());
        services.AddBusObserver(provider => provider.GetRequiredService<DatabaseMigration>());
        return builder;
    }

    /// <summary>A PostgreSQL that the host brings itself, with its tables.</summary>
    public static IServiceCollection AddPlatformDatabase(this IServiceCollection services, Func<IServiceProvider, NpgsqlDataSource> dataSource)
    {
        services.AddSingleton(dataSource);
        services.AddSingleton<DbDataSource>(provider => provider.GetRequiredService<NpgsqlDataSource>());
        // Named: without a schema a role called sagas would find another table the second time, when its schema is there.
        services.AddDbContextPool<PlatformDbContext>((provider, db) => db.UseNpgsql(
            provider.GetRequiredService<NpgsqlDataSource>(), npgsql => npgsql.MigrationsHistoryTable(HistoryRepository.DefaultTableName, "public")));
        return services;
    }
}
