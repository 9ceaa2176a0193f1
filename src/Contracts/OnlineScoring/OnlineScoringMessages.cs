using System.Text.Json;

namespace Contracts.OnlineScoring;

// Scoring that somebody waits for, over the bus: a request and one of two answers. Nothing of it is durable; it is worth nothing once its
// time is up.

/// <param name="Model">As <c>POST /api/v1/endpoints/{name}/score</c> takes it: a name, or <c>name@alias</c>.</param>
/// <param name="Body">In one of the three forms of that route.</param>
/// <param name="Adapter">Name of LoRA weights; null for none.</param>
/// <param name="TimeoutMilliseconds">1 to 60,000; null for the usual.</param>
public sealed record ScoreOnline(string Model, JsonElement Body, string? Adapter = null, int? TimeoutMilliseconds = null);

/// <param name="Body">In the form of the request's.</param>
public sealed record ScoredOnline(JsonElement Body);

public sealed record ScoringRefused(Failure Failure);

/// <summary>What the API tells a worker beside the body, over the worker's private HTTP.</summary>
public static class ScoringHeaders
{
    public const string Path = "/score";
    public const string Key = "X-Worker-Key";
    public const string Model = "X-Model";
    public const string Sha256 = "X-Model-Sha256";
    public const string Uri = "X-Model-Uri";
    public const string Memory = "X-Model-Memory";
    public const string Golden = "X-Model-Golden";
    public const string Adapter = "X-Adapter-Uri";
    public const string AdapterSha256 = "X-Adapter-Sha256";
    public const string Timeout = "X-Timeout-Ms";
}

/// <summary>What workers and those who call them share.</summary>
public sealed class WorkerAccessOptions
{
    public const string Section = "Workers";

    /// <summary>Secret of at least 32 characters, the same for each host; needed where workers are called from other machines. Default: empty, none.</summary>
    public string Key { get; set; } = "";
}
