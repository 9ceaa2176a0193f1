using System.Data.Common;
using System.Net;
using Npgsql;
using ServiceDefaults;

namespace Standalone;

static class StandaloneHost
{
    /// <summary>The whole platform in one process. Ends when it is told to, and takes its PostgreSQL with it.</summary>
    public static async Task<int> RunAsync(StandaloneOptions options)
    {
        using var data = DataFolder.Open(options.DataFolder);
        var port = ListenPort.Choose(options.Port);
        var builder = WebApplication.CreateBuilder(new WebApplicationOptions
        {
            Args = options.Settings,
            ContentRootPath = AppContext.BaseDirectory,
            EnvironmentName = Environment.GetEnvironmentVariable("ASPNETCORE_ENVIRONMENT") ?? Environments.Development,
        });
        builder.AddServiceDefaults();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, port));

        await using var postgres = await StartPostgresAsync(data, builder);
        builder.Configuration["ConnectionStrings:Sagas"] = postgres.ConnectionString;
        builder.Services.AddSingleton(NpgsqlDataSource.Create(postgres.ConnectionString));
        builder.Services.AddSingleton<DbDataSource>(services => services.GetRequiredService<NpgsqlDataSource>());
        builder.Services.AddHealthChecks().AddDatabase();

        await using var app = builder.Build();
        app.MapHealth();
        await app.StartAsync();
        Console.WriteLine($"Ready on {app.Urls.First()} with the data in {data.Path} (Ctrl-C stops)");
        await app.WaitForShutdownAsync();
        return Environment.ExitCode;
    }

    static async Task<EmbeddedPostgres> StartPostgresAsync(DataFolder data, WebApplicationBuilder builder)
    {
        using var logs = LoggerFactory.Create(logging => logging.AddConfiguration(builder.Configuration.GetSection("Logging")).AddSimpleConsole(line => line.SingleLine = true));
        var options = new EmbeddedPostgresOptions { DataFolder = data.Path, Durable = builder.Configuration.GetValue("Postgres:Durable", true) };
        return await EmbeddedPostgres.StartAsync(options, logs.CreateLogger<EmbeddedPostgres>());
    }
}
