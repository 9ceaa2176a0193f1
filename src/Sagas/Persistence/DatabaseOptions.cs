using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;
using Npgsql;

namespace Sagas.Persistence;

/// <summary>Where the platform's PostgreSQL is and how to get in.</summary>
public sealed class DatabaseOptions
{
    const string ConnectionKey = "ConnectionStrings:Sagas";
    const string RequestsKey = "ConnectionStrings:SagasRequests";
    const string PasswordFileKey = "Postgres:PasswordFile";

    /// <summary>
    /// For hosts on one PostgreSQL: statements are prepared once and no session is changed, and few connections are used in turn, so that the
    /// server's processes stay warm. What comes later in a connection string wins.
    /// </summary>
    public const string Defaults = "Maximum Pool Size=20;Max Auto Prepare=100;Auto Prepare Min Usages=2;No Reset On Close=true;";

    /// <summary><c>ConnectionStrings:Sagas</c>: <c>Host=…;Database=…;Username=…</c>, with or without a password. Required. Npgsql's
    /// settings may follow: <c>Max Auto Prepare=0;No Reset On Close=false</c> where a pooler stands before the server.</summary>
    public string ConnectionString { get; set; } = "";

    /// <summary><c>Postgres:PasswordFile</c>: a file whose first line is the password, read at each new connection. Default: empty, none.</summary>
    public string PasswordFile { get; set; } = "";

    /// <summary><c>ConnectionStrings:SagasRequests</c>: another login for what callers ask for, a member of the role <c>{database}_tenant</c>
    /// alone, so that not even a flaw in the code could leave it. Default: empty, the login above, in that role.</summary>
    public string RequestsConnectionString { get; set; } = "";

    internal static void Bind(DatabaseOptions options, IConfiguration configuration)
    {
        options.ConnectionString = configuration[ConnectionKey] ?? "";
        options.RequestsConnectionString = configuration[RequestsKey] ?? "";
        options.PasswordFile = configuration[PasswordFileKey] ?? "";
    }

    internal PlatformDatabase Open(string application) => PlatformDatabase.Open(
        ConnectionString, application, RequestsConnectionString.Length > 0 ? RequestsConnectionString : null, PasswordFile.Length > 0 ? ReadPassword : null);

    string ReadPassword() => File.ReadLines(PasswordFile).FirstOrDefault() ?? "";

    /// <summary>Names every setting that is wrong at once, and never a secret.</summary>
    internal sealed class Validator : IValidateOptions<DatabaseOptions>
    {
        public ValidateOptionsResult Validate(string? name, DatabaseOptions options)
        {
            List<string> wrong = [];
            if (string.IsNullOrWhiteSpace(options.ConnectionString))
                wrong.Add($"{ConnectionKey} is missing: Host=…;Database=…;Username=…");
            else if (Read(ConnectionKey, options.ConnectionString, wrong) is { Password.Length: > 0 } && options.PasswordFile.Length > 0)
                wrong.Add($"{ConnectionKey} has a password and {PasswordFileKey} is set: choose one");
            if (options.RequestsConnectionString.Length > 0)
                Read(RequestsKey, options.RequestsConnectionString, wrong);
            if (options.PasswordFile.Length > 0 && !File.Exists(options.PasswordFile))
                wrong.Add($"{PasswordFileKey} names {options.PasswordFile}, which is not there");
            return wrong.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail($"PostgreSQL cannot be used: {string.Join("; ", wrong)}.");
        }

        static NpgsqlConnectionStringBuilder? Read(string key, string connectionString, List<string> wrong)
        {
            try
            {
                var settings = new NpgsqlConnectionStringBuilder(connectionString);
                string?[] missing = [Missing("Host", settings.Host), Missing("Database", settings.Database), Missing("Username", settings.Username)];
                if (missing.Any(m => m is not null))
                    wrong.Add($"{key} lacks {string.Join(", ", missing.OfType<string>())}");
                return settings;
            }
            catch (ArgumentException)
            {
                // The message of it may hold a part of the password.
                wrong.Add($"{key} cannot be read: it must be Host=…;Database=…;Username=…, separated by semicolons");
                return null;
            }
        }

        static string? Missing(string key, string? value) => string.IsNullOrWhiteSpace(value) ? key : null;
    }
}
