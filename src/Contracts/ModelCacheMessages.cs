namespace Contracts;

/// <summary>To every worker: close the models that nobody uses.</summary>
/// <param name="RequestId">Which the answers repeat.</param>
public sealed record ClearModelCache(Guid RequestId);

/// <param name="Closed">Models that were closed at once; those in use are closed when they are returned.</param>
/// <param name="InUse">Models that are in use.</param>
public sealed record ModelCacheCleared(Guid RequestId, string Worker, int Closed, int InUse);

/// <summary>
/// A worker, which has no database, asks an API which versions are meant now. Worth nothing once nobody waits for the answer: it is asked again.
/// </summary>
/// <param name="Models">At most <see cref="Most"/>.</param>
public sealed record FindModels(IReadOnlyList<TenantModel> Models)
{
    public const int Most = 1000;
}

/// <param name="Models">In the order of the question; null where there is none.</param>
public sealed record ModelsFound(IReadOnlyList<ModelRef?> Models);
