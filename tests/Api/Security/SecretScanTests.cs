using System.Buffers.Text;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Logging.Console;
using Npgsql;
using ServiceDefaults;

namespace Api.Tests.Security;

/// <summary>A host that logs everything there is to log, by the formatters of every host.</summary>
public sealed class TalkativeHost : SecuredHost
{
    readonly StringBuilder _log = new();

    public string Log
    {
        get
        {
            lock (_log)
                return _log.ToString();
        }
    }

    private protected override void Change(IServiceCollection services) => services.AddLogging(logging =>
    {
        logging.SetMinimumLevel(LogLevel.Trace).AddFilter("*", LogLevel.Trace);
        logging.AddConsoleLogs(new Microsoft.Extensions.Configuration.ConfigurationBuilder().Build(), new Microsoft.Extensions.Hosting.Internal.HostingEnvironment { EnvironmentName = "Production" });
        logging.Services.AddSingleton<ILoggerProvider>(provider => new Keeper(provider.GetServices<ConsoleFormatter>().First(f => f.Name == "json"), _log));
    });

    /// <summary>What a console would show.</summary>
    sealed class Keeper(ConsoleFormatter formatter, StringBuilder log) : ILoggerProvider, ISupportExternalScope
    {
        IExternalScopeProvider? _scopes;

        public ILogger CreateLogger(string categoryName) => new Logger(categoryName, this);

        public void SetScopeProvider(IExternalScopeProvider scopeProvider) => _scopes = scopeProvider;

        public void Dispose()
        {
        }

        sealed class Logger(string category, Keeper keeper) : ILogger
        {
            public IDisposable? BeginScope<TState>(TState state) where TState : notnull => keeper._scopes?.Push(state);

            public bool IsEnabled(LogLevel logLevel) => true;

            public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> format)
            {
                var line = new StringWriter();
                keeper.Write(new LogEntry<TState>(logLevel, category, eventId, state, exception, format), line);
            }
        }

        void Write<TState>(in LogEntry<TState> entry, StringWriter line)
        {
            formatter.Write(in entry, _scopes, line);
            lock (log)
                log.Append(line);
        }
    }
}

[Trait("Category", "Server")]
public sealed class SecretScanTests(TalkativeHost host) : IClassFixture<TalkativeHost>
{
    [Fact]
    public async Task No_secret_is_in_the_log_in_an_error_or_in_a_row()
    {
        string[] secrets = [.. Enumerable.Range(0, 8).Select(_ => Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(32)))];
        var (id, key) = await host.CreateKeyAsync("local", "admin");
        var guess = $"sgs_{Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(16))}_{secrets[0]}";
        var token = $"eyJ{secrets[1]}.eyJ{secrets[2]}.{secrets[3]}";
        var answers = new StringBuilder();
        using var caller = host.With(key);
        using var stranger = host.With(guess);
        using var bearer = host.With(null);
        bearer.DefaultRequestHeaders.TryAddWithoutValidation("Authorization", $"Bearer {token}");

        foreach (var client in new[] { caller, stranger, bearer })
        {
            await AnswerAsync(client.GetAsync("/api/v1/batch-inference/jobs"));
            await AnswerAsync(client.GetAsync($"/api/v1/batch-inference/jobs?status={guess}&token={secrets[4]}"));
            await AnswerAsync(client.GetAsync($"/api/v1/models/{guess}?sig={secrets[4]}"));
            await AnswerAsync(client.PostAsJsonAsync("/api/v1/batch-inference/jobs", new
            {
                model = guess,
                input = new { uri = $"https://user:{secrets[5]}@host/x?sig={secrets[4]}", format = $"password={secrets[6]}" },
                output = new { uri = $"AccountKey={secrets[6]}" },
                surplus = token,
            }));
            await AnswerAsync(client.PostAsJsonAsync("/api/v1/batch-inference/jobs", new Dictionary<string, object> { [guess] = token }));
            await AnswerAsync(client.PostAsJsonAsync($"/api/v1/batch-inference/jobs/{host.Job}/cancel", new { reason = $"I pasted {key} and password={secrets[7]}" }));
            await AnswerAsync(client.PostAsync("/api/v1/models", new StringContent(token, Encoding.UTF8, "application/json")));
        }

        await AnswerAsync(caller.PostAsJsonAsync($"/api/v1/operations/api-keys/{id}/revoke", new { reason = $"It was {key}" }));
        await AnswerAsync(caller.GetAsync("/api/v1/batch-inference/jobs"));

        var rows = await DumpAsync();
        // The dump shows what is there: the hash of the key, and the reason without it.
        rows.ShouldContain(Convert.ToHexStringLower(SHA256.HashData(Encoding.ASCII.GetBytes(key))));
        rows.ShouldContain("I pasted sgs_");
        host.Log.Length.ShouldBeGreaterThan(10_000);
        foreach (var (place, text) in new[] { ("the log", host.Log), ("the answers", answers.ToString()), ("the rows", rows) })
            foreach (var secret in secrets.Append(key[27..]).Append((await File.ReadAllTextAsync(host.AdministratorKeyFile)).Trim()[27..]))
                text.Contains(secret, StringComparison.Ordinal).ShouldBeFalse($"{secret[..4]}… is in {place}: {Around(text, secret)}");

        async Task AnswerAsync(Task<HttpResponseMessage> answer)
        {
            using var response = await answer;
            answers.Append(response.Headers).Append(await response.Content.ReadAsStringAsync());
        }
    }

    static string Around(string text, string secret) =>
        text.IndexOf(secret, StringComparison.Ordinal) is >= 0 and var at ? text[Math.Max(0, at - 300)..at] : "";

    // Every row of every table, as text.
    async Task<string> DumpAsync()
    {
        await using var source = NpgsqlDataSource.Create(host.ConnectionString);
        await using var list = source.CreateCommand("SELECT array_agg(c.oid::regclass::text) FROM pg_class c WHERE c.relnamespace IN ('sagas'::regnamespace, 'messaging'::regnamespace) AND c.relkind IN ('r', 'p')");
        var dump = new StringBuilder();
        foreach (var table in (string[])(await list.ExecuteScalarAsync())!)
        {
            await using var command = source.CreateCommand($"SELECT t::text FROM {table} t");
            await using var reader = await command.ExecuteReaderAsync();
            while (await reader.ReadAsync())
                dump.Append(table).Append(reader.GetString(0)).Append('\n');
        }

        return dump.ToString();
    }
}
