using Contracts;
using Sagas.WorkLedger;

namespace Consumers.WorkLedger;

/// <summary>Measured against the planned rows, not the rows done so far: the outcome must not depend on the order of the shards.</summary>
static class ErrorThreshold
{
    public static Failure? Exceeded(WorkJob job)
    {
        var byRate = (long)Math.Floor(job.MaxErrorRate * job.InputRows);
        var most = Math.Min(byRate, job.MaxErrors ?? long.MaxValue);
        return job.Quarantined <= most
            ? null
            : new Failure("error_threshold_exceeded",
                $"{job.Quarantined} rows were quarantined and at most {most} of {job.InputRows} may be. "
                + "See the reasons in the shards' list, mend the input, or raise maxErrorRate or maxErrors.");
    }
}
