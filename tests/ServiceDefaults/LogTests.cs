using System.Security.Cryptography;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting.Internal;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Logging.Console;
using OpenTelemetry.Logs;
using ServiceDefaults.Secrets;

namespace ServiceDefaults.Tests;

public sealed partial class LogTests
{
    static readonly string Secret = Convert.ToHexString(RandomNumberGenerator.GetBytes(24));

    [Theory]
    [InlineData("Development", null, "simple")]
    [InlineData("Production", null, "json")]
    [InlineData("Production", "systemd", "systemd")]
    [InlineData("Production", "simple", "simple")]
    public void Every_formatter_masks_message_values_scopes_and_exceptions(string environment, string? chosen, string formatter)
    {
        var services = new ServiceCollection();
        var settings = new Dictionary<string, string?> { ["Logging:Console:FormatterName"] = chosen };
        var configuration = new ConfigurationBuilder().AddInMemoryCollection(settings).Build();
        services.AddLogging(logging => logging.AddConsoleLogs(configuration, new HostingEnvironment { EnvironmentName = environment }));
        services.Configure<SimpleConsoleFormatterOptions>(o => o.IncludeScopes = true);
        services.Configure<JsonConsoleFormatterOptions>(o => o.IncludeScopes = true);
        services.Configure<ConsoleFormatterOptions>(o => o.IncludeScopes = true);
        using var provider = services.BuildServiceProvider();
        var formatters = provider.GetServices<ConsoleFormatter>().ToList();
        formatters.ShouldAllBe(f => f is RedactingFormatter);

        foreach (var level in Enum.GetValues<LogLevel>().Where(l => l != LogLevel.None))
        {
            var scopes = new LoggerExternalScopeProvider();
            using var scope = scopes.Push(new Dictionary<string, object> { ["uri"] = $"amqp://u:{Secret}@h/" });
            KeyValuePair<string, object?>[] state = [new("Connection", $"Host=db;Password={Secret};x=1"), new("{OriginalFormat}", "{Connection}")];
            var exception = new InvalidOperationException($"password={Secret}", new IOException($"https://h/?sig={Secret}"));
            var line = new StringWriter();
            formatters.Single(f => f.Name == formatter).Write(
                new LogEntry<KeyValuePair<string, object?>[]>(level, "Test", 1, state, exception, (s, _) => $"Opened {s[0].Value}"), scopes, line);
            line.ToString().ShouldNotContain(Secret);
            line.ToString().ShouldContain("Host=db;Password=***");
        }
    }

    [Fact]
    public void What_is_sent_away_is_masked_too()
    {
        var kept = new List<string>();
        using (var factory = LoggerFactory.Create(logging => logging.AddOpenTelemetry(o =>
               {
                   o.IncludeFormattedMessage = true;
                   o.AddProcessor(new RedactingProcessor()).AddProcessor(new Keeper(kept));
               })))
        {
            LogOpened(factory.CreateLogger("Test"), new IOException($"password={Secret}"), $"amqp://u:{Secret}@h/", 3);
        }

        kept.Single().ShouldNotContain(Secret);
        kept.Single().ShouldContain("Opened amqp://u:***@h/ 3");
        kept.Single().ShouldContain("[Count, 3]");
        kept.Single().ShouldContain("password=***");
    }

    [LoggerMessage(LogLevel.Error, "Opened {Uri} {Count}")]
    static partial void LogOpened(ILogger logger, Exception exception, string uri, int count);

    // A record is used again once it has been sent.
    sealed class Keeper(List<string> kept) : OpenTelemetry.BaseProcessor<LogRecord>
    {
        public override void OnEnd(LogRecord data) => kept.Add(string.Join(" ", data.FormattedMessage, data.Body, data.Exception, string.Join(" ", data.Attributes!)));
    }
}
