using Contracts;
using Microsoft.EntityFrameworkCore;
using Sagas.Models;
using Sagas.Persistence;

namespace Api.Models;

static class ModelRows
{
    public static ModelSignature ReadSignature(this RegisteredModel model) => WireJson.Read<ModelSignature>(model.Signature);

    public static IReadOnlyDictionary<string, string> ReadLabels(this RegisteredModel model) => WireJson.Read<SortedDictionary<string, string>>(model.Labels);

    public static IReadOnlyList<ModelFile>? ReadFiles(this RegisteredModel model) => model.Files is null ? null : WireJson.Read<IReadOnlyList<ModelFile>>(model.Files);

    public static ModelRef Reference(this RegisteredModel model) => new(
        model.Name, model.Version, model.Uri, model.ReadFiles(), model.PeakBatchBytes, model.Golden is null ? null : WireJson.Read<ModelGolden>(model.Golden));

    /// <param name="reference">A sha256, an alias, or null or <c>latest</c> for the version registered last.</param>
    public static Task<RegisteredModel?> FindModelAsync(
        this PlatformDbContext db, string name, string? reference, CancellationToken cancellationToken) =>
        db.Models.AsNoTracking()
            // An alias never looks like a sha256, so at most one of the two is meant.
            .Where(m => m.Name == name && (reference == null || reference == ModelName.Latest || m.Version == reference
                || db.ModelAliases.Any(a => a.Tenant == m.Tenant && a.Model == m.Name && a.Alias == reference && a.Version == m.Version)))
            .OrderByDescending(m => m.RegisteredAt).ThenBy(m => m.Version)
            .FirstOrDefaultAsync(cancellationToken);

    /// <param name="model">The version that it is for.</param>
    public static Task<ModelAdapter?> FindAdapterAsync(this PlatformDbContext db, RegisteredModel model, string name, CancellationToken cancellationToken) =>
        db.ModelAdapters.AsNoTracking().SingleOrDefaultAsync(a => a.Model == model.Name && a.Version == model.Version && a.Name == name, cancellationToken);
}
