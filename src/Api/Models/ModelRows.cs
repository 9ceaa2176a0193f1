using Contracts;
using Microsoft.EntityFrameworkCore;
using Sagas.Models;
using Sagas.Persistence;

namespace Api.Models;

static class ModelRows
{
    public const string Latest = "latest";

    public static ModelSignature ReadSignature(this RegisteredModel model) => WireJson.Read<ModelSignature>(model.Signature);

    /// <param name="version">A sha256, or null or <c>latest</c> for the version registered last.</param>
    public static Task<RegisteredModel?> FindModelAsync(
        this PlatformDbContext db, string name, string? version, CancellationToken cancellationToken) =>
        db.Models.AsNoTracking()
            .Where(m => m.Name == name && (version == null || version == Latest || m.Version == version))
            .OrderByDescending(m => m.RegisteredAt).ThenBy(m => m.Version)
            .FirstOrDefaultAsync(cancellationToken);
}
