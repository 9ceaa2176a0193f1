namespace Api.BatchInference;

/// <summary>How far a job is.</summary>
/// <param name="RowsTotal">Planned rows; 0 until planned.</param>
/// <param name="RowsDone">Rows scored or quarantined, those of shards still running included.</param>
/// <param name="Percent">Share of the planned rows whose fate is known; 100 only when the job has ended, however it ended.</param>
/// <param name="RowsPerSecond">Null until measured.</param>
/// <param name="EtaSeconds">Until the last row is scored; null when unknown.</param>
public sealed record JobProgress(
    string Status,
    long RowsTotal,
    long RowsDone,
    double Percent,
    double? RowsPerSecond,
    double? EtaSeconds,
    int ShardsTotal,
    int ShardsDone,
    long Quarantined)
{
    const double AlmostDone = 99.9;

    internal bool IsEnd => Percent == 100;

    internal static JobProgress Of(JobRow row, DateTimeOffset now)
    {
        var job = row.Job;
        // Planning adds rows file by file: until it is done, they are not the whole.
        var isPlanned = job.PlannedAt is not null;
        var done = job.Scored + job.Quarantined + row.RowsRunning;
        var speed = job.PlannedAt is { } since && ((row.EndedAt ?? now) - since).TotalSeconds is > 0 and var seconds && done > 0
            ? Math.Round(done / seconds, 1)
            : (double?)null;
        return new JobProgress(
                row.Status, isPlanned ? job.InputRows : 0, done, 0, speed, null, isPlanned ? job.TotalUnits : 0, isPlanned ? job.CommittedUnits : 0, job.Quarantined)
            .Finished(row.IsFinal);
    }

    /// <summary>Never behind what a viewer has seen: a shard whose worker was lost begins again, the number on the screen does not.</summary>
    internal JobProgress NotBehind(long rowsSeen) => rowsSeen <= RowsDone ? this : (this with { RowsDone = Math.Min(rowsSeen, Math.Max(RowsDone, RowsTotal)) }).Finished(IsEnd);

    internal JobProgress AtSpeed(double? rowsPerSecond) => (this with { RowsPerSecond = rowsPerSecond }).Finished(IsEnd);

    JobProgress Finished(bool isFinal) => this with
    {
        Percent = isFinal ? 100 : RowsTotal == 0 ? 0 : Math.Min(AlmostDone, Math.Floor(1000.0 * RowsDone / RowsTotal) / 10),
        EtaSeconds = isFinal ? 0 : RowsPerSecond > 0 && RowsTotal > 0 ? Math.Round((RowsTotal - RowsDone) / RowsPerSecond.Value, 1) : null,
    };
}
