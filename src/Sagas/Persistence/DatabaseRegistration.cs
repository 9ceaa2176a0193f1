using System.Data.Common;
using MassTransit;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
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
            provider.GetRequiredService<IOptions<DatabaseOptions>>().Value.Open($"Sagas.{builder.Environment.ApplicationName}"));
        services.AddSingleton<DatabaseMigration>();
        services.AddHostedService(provider => provider.GetRequiredService<DatabaseMigration>());
        services.AddBusObserver(provider => provider.GetRequiredService<DatabaseMigration>());
        return builder;
    }

    /// <summary>
    /// A PostgreSQL that the host brings itself; it makes the tables before anything asks for them. A scope's <see cref="PlatformDbContext"/>
    /// sees what its <see cref="DataScope"/> says.
    /// </summary>
    public static IServiceCollection AddPlatformDatabase(this IServiceCollection services, Func<IServiceProvider, PlatformDatabase> database)
    {
        services.AddSingleton(database);
        services.AddSingleton(provider => provider.GetRequiredService<PlatformDatabase>().System);
        services.AddSingleton<DbDataSource>(provider => provider.GetRequiredService<NpgsqlDataSource>());
        services.AddPooledDbContextFactory<PlatformDbContext>((provider, db) => PlatformDatabase.UseNpgsql(db, provider.GetRequiredService<NpgsqlDataSource>()));
        services.AddPooledDbContextFactory<TenantDbContext>(UseTenants);
        services.AddScoped<DataScope>();
        services.AddScoped(provider => provider.GetRequiredService<DataScope>().Open());
        return services;
    }

    static void UseTenants(IServiceProvider provider, DbContextOptionsBuilder db)
    {
        // What others have added to the platform's DbContext, such as its outbox, counts here too.
        var shared = new DbContextOptionsBuilder<PlatformDbContext>();
        foreach (var configuration in provider.GetServices<IDbContextOptionsConfiguration<PlatformDbContext>>())
            configuration.Configure(provider, shared);
        var core = shared.Options.FindExtension<CoreOptionsExtension>();
        var database = provider.GetRequiredService<PlatformDatabase>();
        PlatformDatabase.UseNpgsql(db, database.Requests);
        db.AddInterceptors([.. core?.Interceptors ?? [], new TenantCommands(database.Roles)]);
    }
}
