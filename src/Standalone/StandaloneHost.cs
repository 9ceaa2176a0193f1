using System.Data.Common;
using System.Net;
using Microsoft.Extensions.Logging.Console;
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
        builder.Configuration.AddStandaloneSettings(data);
        builder.AddServiceDefaults();
        // Nothing but trouble may come between the sample's lines.
        Action<ILoggingBuilder> quieten = options.Sample ? logging => logging.AddFilter<ConsoleLoggerProvider>(null, LogLevel.Warning) : _ => { };
        quieten(builder.Logging);
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, port));

        await using var postgres = await StartPostgresAsync(data, builder, quieten);
        builder.Configuration["ConnectionStrings:Sagas"] = postgres.ConnectionString;
        builder.Services.AddSingleton(_ => NpgsqlDataSource.Create(postgres.ConnectionString));
        builder.Services.AddSingleton<DbDataSource>(services => services.GetRequiredService<NpgsqlDataSource>());
        builder.Services.AddHealthChecks().AddDatabase();

        await using var app = builder.Build();
        app.MapHealth();
        await app.StartAsync();
        Console.WriteLine($"Ready on {app.Urls.First()} with the data in {data.Path} (Ctrl-C stops)");
        var succeeded = !options.Sample || await RunSampleAsync(app);
        if (options.Once)
            await app.StopAsync();
        else
            await app.WaitForShutdownAsync();
        return succeeded || !options.Once ? 0 : 1;
    }

    static async Task<bool> RunSampleAsync(WebApplication app)
    {
        using var sample = new SampleRun(new Uri(app.Urls.First()), Console.Out, isTerminal: !Console.IsOutputRedirected);
        try
        {
            return await sample.RunAsync(app.Lifetime.ApplicationStopping);
        }
        catch (OperationCanceledException) when (app.Lifetime.ApplicationStopping.IsCancellationRequested)
        {
            return false;
        }
        catch (HttpRequestException e)
        {
            await Console.Error.WriteLineAsync(e.Message);
            return false;
        }
    }

    static async Task<EmbeddedPostgres> StartPostgresAsync(DataFolder data, WebApplicationBuilder builder, Action<ILoggingBuilder> quieten)
    {
        // The host's own loggers come too late: it is built with the connection string that this start finds.
        using var logs = LoggerFactory.Create(logging =>
        {
            logging.AddConfiguration(builder.Configuration.GetSection("Logging")).AddConsoleLogs(builder.Configuration, builder.Environment);
            quieten(logging);
        });
        var options = new EmbeddedPostgresOptions { DataFolder = data.Path, Durable = builder.Configuration.GetValue("Postgres:Durable", true) };
        return await EmbeddedPostgres.StartAsync(options, logs.CreateLogger<EmbeddedPostgres>());
    }
}
