using Artifacts;
using Contracts;
using Contracts.BatchInference;
using Microsoft.EntityFrameworkCore;
using Sagas.BatchInference;
using Sagas.Persistence;

namespace Api.Operations;

/// <summary>A manifest is there if and only if its job completed. While a job publishes, either may be first.</summary>
sealed class ManifestFiles(PlatformDbContext db, ArtifactStore store)
{
    const int MostLookedAt = 2000;
    const int AskedAtOnce = 16;

    /// <returns>Ended jobs with a manifest that did not complete, and completed ones without.</returns>
    public async Task<(List<string> Surplus, List<string> Missing)> CompareAsync(CancellationToken cancellationToken)
    {
        var ended = await (
            from saga in db.BatchJobs.AsNoTracking()
            where BatchJobStateMachine.FinalStates.Contains(saga.CurrentState)
            join job in db.WorkJobs.AsNoTracking() on saga.CorrelationId equals job.Id
            orderby job.AcceptedAt descending
            select new { job.Id, job.Tenant, saga.CurrentState, job.Spec, saga.ManifestUri }).Take(MostLookedAt).ToListAsync(cancellationToken);

        var there = new bool[ended.Count];
        await Parallel.ForAsync(0, ended.Count, new ParallelOptions { MaxDegreeOfParallelism = AskedAtOnce, CancellationToken = cancellationToken }, async (i, token) =>
            there[i] = await ExistsAsync(
                store.For(ended[i].Tenant), ended[i].ManifestUri ?? $"{WireJson.Read<BatchJobSpec>(ended[i].Spec).ResultFolder(ended[i].Id)}/_manifest.json", token));

        var (surplus, missing) = (new List<string>(), new List<string>());
        foreach (var (job, isThere) in ended.Zip(there))
        {
            var isComplete = job.CurrentState is nameof(BatchJobStateMachine.Completed) or nameof(BatchJobStateMachine.CompletedWithErrors);
            if (isThere && !isComplete)
                surplus.Add(job.Id.ToString());
            if (isComplete && !isThere)
                missing.Add(job.Id.ToString());
        }

        return (surplus, missing);
    }

    static async Task<bool> ExistsAsync(ArtifactStore own, string uri, CancellationToken cancellationToken)
    {
        try
        {
            return await own.ExistsAsync(uri, cancellationToken);
        }
        catch (FailureException e) when (!e.IsTransient)
        {
            // An output root that is no longer one: nothing is to be seen there.
            return false;
        }
    }
}
