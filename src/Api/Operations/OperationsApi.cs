using Api.Security;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace Api.Operations;

static class OperationsApi
{
    public static RouteGroupBuilder MapOperations(this RouteGroupBuilder api)
    {
        var operations = api.MapGroup("/operations").WithTags("Operations").OfHomeOnly();

        operations.MapGet("/invariants", InvariantsAsync).WithName("GetInvariants").WithSummary("What must never happen, counted: zeros, or which jobs are off").Needs(Role.Operator);
        return api;
    }

    // In a scope of its own, which sees every tenant's rows.
    static async Task<Ok<InvariantReport>> InvariantsAsync(IServiceScopeFactory scopes, CancellationToken cancellationToken)
    {
        await using var scope = scopes.CreateAsyncScope();
        return TypedResults.Ok(await scope.ServiceProvider.GetRequiredService<Invariants>().CheckAsync(cancellationToken));
    }
}

/// <param name="Ok">Every figure is 0; the outbox may be some seconds behind.</param>
/// <param name="DoubleCommits">Shards counted more than once.</param>
/// <param name="OrphanLeases">Units handed out that nobody works on and nobody takes back.</param>
/// <param name="StuckSagas">Jobs that wait for nothing, or have not noticed their end.</param>
/// <param name="DueOutboxAgeSeconds">How long the oldest message waits that should be gone.</param>
/// <param name="UnaccountedRows">Rows missing from, or surplus in, <c>input = scored + quarantined + skipped + remaining</c>.</param>
/// <param name="Offenders">Up to 20 ids for each figure that is not 0.</param>
public sealed record InvariantReport(
    bool Ok,
    int DoubleCommits,
    int OrphanLeases,
    int StuckSagas,
    long DueOutboxAgeSeconds,
    long UnaccountedRows,
    int ManifestsWithoutCompletedJob,
    int CompletedJobsWithoutManifest,
    IReadOnlyDictionary<string, IReadOnlyList<string>> Offenders);
