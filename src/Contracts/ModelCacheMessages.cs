namespace Contracts;

/// <summary>To every worker: close the models that nobody uses.</summary>
/// <param name="RequestId">Which the answers repeat.</param>
public sealed record ClearModelCache(Guid RequestId);

/// <param name="Closed">Models that were closed at once; those in use are closed when they are returned.</param>
/// <param name="InUse">Models that are in use.</param>
public sealed record ModelCacheCleared(Guid RequestId, string Worker, int Closed, int InUse);
