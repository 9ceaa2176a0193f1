using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using ServiceDefaults.Secrets;

namespace ServiceDefaults;

public static class ServiceDefaultsExtensions
{
    /// <summary>What every host has: its secrets, logs without them, telemetry, health and an orderly end.</summary>
    public static IHostApplicationBuilder AddServiceDefaults(this IHostApplicationBuilder builder)
    {
        builder.ResolveSecrets();
        builder.Services.AddSingleton(TimeProvider.System);
        builder.Logging.AddConsoleLogs(builder.Configuration, builder.Environment);
        builder.AddTelemetry();
        builder.Services.AddLiveness();
        builder.Services.AddOptions<ShutdownOptions>().BindConfiguration(ShutdownOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        builder.Services.AddOptions<HostOptions>().Configure<Microsoft.Extensions.Options.IOptions<ShutdownOptions>>(
            (host, shutdown) => host.ShutdownTimeout = TimeSpan.FromSeconds(shutdown.Value.TimeoutSeconds));
        return builder;
    }

    /// <summary>One readable line each for people; JSON for machines, unless <c>Logging:Console:FormatterName</c> says otherwise.</summary>
    public static ILoggingBuilder AddConsoleLogs(this ILoggingBuilder logging, IConfiguration configuration, IHostEnvironment environment)
    {
        if (configuration["Logging:Console:FormatterName"] is not null)
            logging.AddConsole();
        else if (environment.IsProduction() || environment.IsEnvironment("Azure"))
            logging.AddJsonConsole(json => json.UseUtcTimestamp = true);
        else
            logging.AddSimpleConsole(line => (line.SingleLine, line.TimestampFormat) = (true, "HH:mm:ss "));
        RedactingFormatter.Decorate(logging.Services);
        return logging;
    }
}
