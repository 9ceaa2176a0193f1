namespace Contracts.WorkLedger;

/// <summary><c>input = scored + quarantined + skipped + remaining</c> at every moment.</summary>
public sealed record JobRows(long Input, long Scored, long Quarantined, long Skipped, long Remaining);
