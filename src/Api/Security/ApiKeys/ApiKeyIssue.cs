using Microsoft.EntityFrameworkCore;
using Sagas.Persistence;
using Sagas.Security;

namespace Api.Security.ApiKeys;

/// <summary>Makes keys. The key itself is in the answer and nowhere else.</summary>
static class ApiKeyIssue
{
    /// <summary>Adds the row; the caller saves.</summary>
    public static (ApiKey Row, string Text) AddApiKey(
        this PlatformDbContext db, string tenant, string name, IEnumerable<string> scopes, string createdBy, DateTimeOffset now, TimeSpan life)
    {
        var (id, text) = ApiKeyText.Generate();
        var row = new ApiKey
        {
            Id = id,
            Tenant = tenant,
            Name = name,
            Scopes = [.. scopes.Distinct().Order(StringComparer.Ordinal)],
            Sha256 = ApiKeyText.Hash(text),
            CreatedAt = now,
            CreatedBy = createdBy,
            ExpiresAt = now + life,
        };
        db.ApiKeys.Add(row);
        return (row, text);
    }

    /// <summary>Not the hash: a request's role cannot even read it.</summary>
    public static IQueryable<ApiKeyView> Views(this IQueryable<ApiKey> keys) => keys.Select(k => new ApiKeyView(
        k.Id, k.Tenant, k.Name, k.Scopes, k.CreatedAt, k.CreatedBy, k.ExpiresAt, k.RevokedAt, k.LastUsedAt, k.RotatedTo));
}
