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

    /// <summary><c>/health/live</c>: the process answers. <c>/health/ready</c>: what it needs answers. Both tell anybody, but no reasons.
    /// <c>/health</c>: every check, with its reason.</summary>
    /// <returns>The route of <c>/health</c>, for a host that does not tell everybody.</returns>
    public static IEndpointConventionBuilder MapHealth(this IEndpointRouteBuilder endpoints)
    {
        endpoints.MapProbes();
        return endpoints.MapHealthChecks("/health", Checks(_ => true, WriteAsync));
    }

    /// <summary>For a host with a <c>/health</c> of its own.</summary>
    public static void MapProbes(this IEndpointRouteBuilder endpoints)
    {
        endpoints.MapHealthChecks("/health/live", Checks(check => check.Tags.Contains(Live), WriteStatusAsync)).AllowAnonymous().DisableRateLimiting();
        var ready = Checks(check => check.Tags.Contains(Needed), WriteStatusAsync);
        // A bus that has lost its broker calls itself degraded, and so is whoever needs it of no use.
        ready.ResultStatusCodes[HealthStatus.Degraded] = StatusCodes.Status503ServiceUnavailable;
        endpoints.MapHealthChecks("/health/ready", ready).AllowAnonymous().DisableRateLimiting();
    }

    internal static void AddLiveness(this IServiceCollection services) =>
        services.AddHealthChecks().AddCheck("process", () => HealthCheckResult.Healthy(), tags: [Live]);

    static HealthCheckOptions Checks(Func<HealthCheckRegistration, bool> chosen, Func<HttpContext, HealthReport, Task> write) =>
        new() { Predicate = chosen, ResponseWriter = write, AllowCachingResponses = false };

    static Task WriteStatusAsync(HttpContext context, HealthReport report) => WriteAsync(context, report, _ => null);

    // Descriptions are ours. What an exception says may hold hosts, names and more.
    static Task WriteAsync(HttpContext context, HealthReport report) => WriteAsync(context, report, entry => entry.Description ?? entry.Exception?.GetType().Name);

    static Task WriteAsync(HttpContext context, HealthReport report, Func<HealthReportEntry, string?> describe)
    {
        context.Response.ContentType = "application/json";
        var answer = new HealthAnswer(report.Status.ToString(), report.TotalDuration.TotalMilliseconds,
            [.. report.Entries.Select(entry => new HealthAnswerCheck(
                entry.Key, entry.Value.Status.ToString(), describe(entry.Value), entry.Value.Duration.TotalMilliseconds))]);
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
