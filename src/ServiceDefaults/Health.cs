using System.Data.Common;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Diagnostics.HealthChecks;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace ServiceDefaults;

public static class Health
{
    /// <summary>Checks that decide whether this host is sent work. The bus is none of them: an outbox outlasts its absence.</summary>
    public const string Needed = "needed";

    const string Live = "live";

    /// <summary>PostgreSQL, by the host's <see cref="DbDataSource"/>.</summary>
    public static IHealthChecksBuilder AddDatabase(this IHealthChecksBuilder checks) =>
        checks.AddCheck<DatabaseHealthCheck>("postgresql", tags: [Needed], timeout: TimeSpan.FromSeconds(3));

    /// <summary><c>/health/live</c>: the process answers. <c>/health/ready</c>: what it needs answers. <c>/health</c>: every check.</summary>
    public static void MapHealth(this IEndpointRouteBuilder endpoints)
    {
        endpoints.MapHealthChecks("/health/live", Checks(check => check.Tags.Contains(Live)));
        var ready = Checks(check => check.Tags.Contains(Needed));
        // A bus that has lost its broker calls itself degraded, and so is whoever needs it of no use.
        ready.ResultStatusCodes[HealthStatus.Degraded] = StatusCodes.Status503ServiceUnavailable;
        endpoints.MapHealthChecks("/health/ready", ready);
        endpoints.MapHealthChecks("/health", Checks(_ => true));
    }

    internal static void AddLiveness(this IServiceCollection services) =>
        services.AddHealthChecks().AddCheck("process", () => HealthCheckResult.Healthy(), tags: [Live]);

    static HealthCheckOptions Checks(Func<HealthCheckRegistration, bool> chosen) =>
        new() { Predicate = chosen, ResponseWriter = WriteAsync, AllowCachingResponses = false };

    static Task WriteAsync(HttpContext context, HealthReport report)
    {
        context.Response.ContentType = "application/json";
        var answer = new HealthAnswer(report.Status.ToString(), report.TotalDuration.TotalMilliseconds,
            [.. report.Entries.Select(entry => new HealthAnswerCheck(
                entry.Key, entry.Value.Status.ToString(), entry.Value.Description ?? entry.Value.Exception?.Message, entry.Value.Duration.TotalMilliseconds))]);
        return JsonSerializer.SerializeAsync(context.Response.Body, answer, JsonSerializerOptions.Web, context.RequestAborted);
    }

    sealed record HealthAnswer(string Status, double Milliseconds, IReadOnlyList<HealthAnswerCheck> Checks);

    sealed record HealthAnswerCheck(string Name, string Status, string? Description, double Milliseconds);

    sealed class DatabaseHealthCheck(DbDataSource database) : IHealthCheck
    {
        public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
        {
            try
            {
                await using var command = database.CreateCommand("SELECT 1");
                await command.ExecuteScalarAsync(cancellationToken);
                return HealthCheckResult.Healthy();
            }
            catch (DbException e)
            {
                return HealthCheckResult.Unhealthy("PostgreSQL does not answer", e);
            }
        }
    }
}
