using System.Collections.Concurrent;
using Api.Models;
using Contracts;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Sagas.Persistence;

namespace Api.OnlineScoring;

/// <summary>Which file a name stands for, remembered for a moment so that a request does not wait for the database.</summary>
sealed class ServedModels(IServiceScopeFactory scopes, IOptions<OnlineScoringApiOptions> options, TimeProvider clock)
{
    const int MostRemembered = 10_000;

    readonly ConcurrentDictionary<(string Tenant, string Name), Remembered> _known = [];

    /// <param name="name">A model's, or <c>name@alias</c>, or <c>name@sha256</c>.</param>
    /// <exception cref="FailureException"><c>model_not_found</c>.</exception>
    public async ValueTask<ModelRef> FindAsync(string tenant, string name, CancellationToken cancellationToken)
    {
        var now = clock.GetTimestamp();
        if (_known.TryGetValue((tenant, name), out var known) && clock.GetElapsedTime(known.At, now).TotalMilliseconds < options.Value.ResolvedMilliseconds)
            return known.Model;
        var model = await ReadAsync(tenant, name, cancellationToken);
        if (_known.Count >= MostRemembered)
            _known.Clear();
        _known[(tenant, name)] = new Remembered(model, now);
        return model;
    }

    async Task<ModelRef> ReadAsync(string tenant, string name, CancellationToken cancellationToken)
    {
        var at = name.IndexOf('@', StringComparison.Ordinal);
        var (model, version) = at < 0 ? (name, null) : (name[..at], name[(at + 1)..]);
        await using var scope = scopes.CreateAsyncScope();
        scope.ServiceProvider.GetRequiredService<DataScope>().See(tenant);
        var found = await scope.ServiceProvider.GetRequiredService<PlatformDbContext>().FindModelAsync(model, version, cancellationToken)
            ?? throw new FailureException("model_not_found", $"There is no model {name}. See GET /api/v1/models.");
        return new ModelRef(found.Name, found.Version, found.Uri);
    }

    sealed record Remembered(ModelRef Model, long At);
}
