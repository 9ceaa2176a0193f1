using System.ComponentModel.DataAnnotations;
using Contracts;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Options;
using Sagas.Persistence;
using Sagas.WorkLedger;

namespace Api.Security;

public sealed class QuotaOptions
{
    public const string Section = "Quotas";

    /// <summary>Jobs of one tenant that have not ended, the queued ones included. Default: 10,000.</summary>
    [Range(1, 10_000_000)]
    public int OpenJobs { get; init; } = 10_000;

    /// <summary>Bytes of one tenant's models and published results together. Default: 0, no limit.</summary>
    [Range(0, long.MaxValue)]
    public long StoredBytes { get; init; }
}

/// <summary>
/// How much one tenant may have. What comes at the same moment is not counted against each other, so a limit may be passed by as
/// many as come at once.
/// </summary>
sealed class TenantQuotas(PlatformDbContext db, IOptions<QuotaOptions> options)
{
    static readonly string[] Ended = [WorkJobState.Completed, WorkJobState.Stopped, WorkJobState.Failed];

    /// <exception cref="FailureException">One more is too many.</exception>
    public async Task CheckJobsAsync(CancellationToken cancellationToken)
    {
        var most = options.Value.OpenJobs;
        if (await db.WorkJobs.Where(j => !Ended.Contains(j.State)).Take(most).CountAsync(cancellationToken) >= most)
            throw new FailureException("too_many_jobs", $"Your tenant has {most} jobs that have not ended. Wait until some have, or cancel some.");
        await CheckBytesAsync(0, cancellationToken);
    }

    /// <exception cref="FailureException">There is no room for so many more.</exception>
    public async Task CheckBytesAsync(long more, CancellationToken cancellationToken)
    {
        if (options.Value.StoredBytes is not (> 0 and var most))
            return;
        var stored = await db.Models.SumAsync(m => m.Bytes, cancellationToken) + await db.ModelAdapters.SumAsync(a => a.Bytes, cancellationToken) + await db.WorkJobs.SumAsync(j => j.ResultBytes, cancellationToken);
        if (stored + more > most)
            throw new FailureException("storage_limit_reached", $"Your tenant has {stored} of {most} bytes stored. Ask the platform's operator for more.");
    }
}
