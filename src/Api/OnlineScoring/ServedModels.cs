using System.Collections.Concurrent;
using Api.Models;
using Contracts;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Sagas.Persistence;

namespace Api.OnlineScoring;

/// <summary>Which file a name stands for, remembered for a moment so that a request does not wait for the database.</summary>
sealed class ServedModels(IServiceScopeFactory scopes, IOptions<OnlineScoringApiOptions> options, TimeProvider clock) : IDisposable
{
    const int MostRemembered = 10_000;
    const int LongestName = 201;

    // Made-up names must not become as many queries at once.
    readonly SemaphoreSlim _reads = new(2 * Environment.ProcessorCount);
    readonly ConcurrentDictionary<(string Tenant, string Name, string? Adapter), Remembered> _known = [];

    /// <param name="name">A model's, or <c>name@alias</c>, or <c>name@sha256</c>.</param>
    /// <param name="adapter">Name of LoRA weights of that version; null for none.</param>
    /// <exception cref="FailureException"><c>model_not_found</c>, <c>adapter_not_found</c>.</exception>
    public async ValueTask<Served> FindAsync(string tenant, string name, string? adapter, CancellationToken cancellationToken)
    {
        var now = clock.GetTimestamp();
        if (_known.TryGetValue((tenant, name, adapter), out var known) && clock.GetElapsedTime(known.At, now).TotalMilliseconds < options.Value.ResolvedMilliseconds)
            return known.Model;
        if (!ModelName.IsName(ModelName.Parse(name).Name) || name.Length > LongestName || adapter?.Length > LongestName)
            throw NotFound(name);
        Served model;
        await _reads.WaitAsync(cancellationToken);
        try
        {
            model = await ReadAsync(tenant, name, adapter, cancellationToken);
        }
        finally
        {
            _reads.Release();
        }
        if (_known.Count >= MostRemembered)
            _known.Clear();
        _known[(tenant, name, adapter)] = new Remembered(model, now);
        return model;
    }

    async Task<Served> ReadAsync(string tenant, string name, string? adapter, CancellationToken cancellationToken)
    {
        var asked = ModelName.Parse(name);
        await using var scope = scopes.CreateAsyncScope();
        scope.ServiceProvider.GetRequiredService<DataScope>().See(tenant);
        var db = scope.ServiceProvider.GetRequiredService<PlatformDbContext>();
        var model = await db.FindModelAsync(asked.Name, asked.Reference, cancellationToken)
            ?? throw NotFound(name);
        if (adapter is null)
            return new Served(model.Reference(), null);
        var weights = await db.FindAdapterAsync(model, adapter, cancellationToken)
            ?? throw new FailureException("adapter_not_found", $"There is no adapter {adapter} of {model.Name}@{model.Version}. See GET /api/v1/models/{model.Name}/versions/{model.Version}/adapters.");
        return new Served(model.Reference(), new AdapterRef(weights.Uri, weights.Sha256));
    }

    public void Dispose() => _reads.Dispose();

    static FailureException NotFound(string name) =>
        new("model_not_found", $"There is no model {(name.Length > LongestName ? "of so long a name" : name)}. See GET /api/v1/models.");

    sealed record Remembered(Served Model, long At);
}

/// <param name="Adapter">LoRA weights in place of the model's own; null for none.</param>
sealed record Served(ModelRef Model, AdapterRef? Adapter);
