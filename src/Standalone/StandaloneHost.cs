using System.Net;
using Api.Security.ApiKeys;
using Microsoft.Extensions.Logging.Console;
using ServiceDefaults;

namespace Standalone;

static class StandaloneHost
{
    /// <summary>The whole platform in one process. Ends when it is told to, and takes its PostgreSQL with it.</summary>
    public static async Task<int> RunAsync(StandaloneOptions asked)
    {
        using var data = DataFolder.Open(asked.DataFolder);
        var port = ListenPort.Choose(asked.Address, asked.Port);
        var builder = WebApplication.CreateBuilder(new WebApplicationOptions
        {
            Args = asked.Settings,
            ContentRootPath = AppContext.BaseDirectory,
            EnvironmentName = Environment.GetEnvironmentVariable("ASPNETCORE_ENVIRONMENT") ?? Environments.Development,
        });
        builder.Configuration.AddStandaloneSettings(data);
        builder.AddServiceDefaults();
        // Nothing but trouble may come between the sample's lines.
        Action<ILoggingBuilder> quieten = asked.Sample
            ? logging => logging.AddFilter<ConsoleLoggerProvider>(null, LogLevel.Warning).AddFilter<ConsoleLoggerProvider>("Microsoft.EntityFrameworkCore", LogLevel.Critical)
            : _ => { };
        quieten(builder.Logging);
        // Where the settings are looked at: an address that is not allowed is refused before anything starts.
        builder.WebHost.UseUrls($"http://{new IPEndPoint(asked.Address, port)}");

        using var logs = EarlyLogs(builder, quieten);
        var options = new EmbeddedPostgresOptions { DataFolder = data.Path, Durable = builder.Configuration.GetValue("Postgres:Durable", true) };
        await using var postgres = await EmbeddedPostgres.StartAsync(options, logs.CreateLogger<EmbeddedPostgres>());
        builder.Configuration["ConnectionStrings:Sagas"] = postgres.ConnectionString;
        builder.Services.AddHealthChecks().AddDatabase();
        builder.Services.AddHostedService(_ => new PostgresWatch(postgres));
        builder.AddPlatform(postgres.ConnectionString);

        await using var app = builder.Build();
        await app.StartPlatformAsync();
        Console.WriteLine($"Ready on {app.Urls.First()} with the data in {data.Path} (Ctrl-C stops)");
        var succeeded = !asked.Sample || await RunSampleAsync(app);
        if (asked.Once)
            await app.StopAsync();
        else
            await app.WaitForShutdownAsync();
        return succeeded || !asked.Once ? 0 : 1;
    }

    static async Task<bool> RunSampleAsync(WebApplication app)
    {
        try
        {
            var key = await TemporaryKey.CreateAsync(app.Services, "sample job", app.Lifetime.ApplicationStopping);
            using var sample = new SampleRun(new Uri(app.Urls.First()), key, Console.Out, isTerminal: !Console.IsOutputRedirected);
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

    // The host's own loggers come too late: it is built with the connection string that PostgreSQL's start finds.
    static ILoggerFactory EarlyLogs(WebApplicationBuilder builder, Action<ILoggingBuilder> quieten) => LoggerFactory.Create(logging =>
    {
        logging.AddConfiguration(builder.Configuration.GetSection("Logging")).AddConsoleLogs(builder.Configuration, builder.Environment);
        quieten(logging);
    });
}
