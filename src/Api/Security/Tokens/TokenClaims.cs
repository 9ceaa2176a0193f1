using System.Text.Json;

namespace Api.Security.Tokens;

/// <summary>What a token says, as far as anybody asks. A claim of the wrong type makes the whole token unreadable.</summary>
sealed record TokenClaims
{
    // The last second of the year 9999.
    const double LastSecond = 253402300799;
    const int MostItems = 1000;

    public string? Issuer { get; private init; }
    public IReadOnlyList<string> Audiences { get; private init; } = [];
    public DateTimeOffset? ExpiresAt { get; private init; }
    public DateTimeOffset? NotBefore { get; private init; }
    public string? Subject { get; private init; }
    public string? TenantId { get; private init; }
    public string? ObjectId { get; private init; }
    public string? Client { get; private init; }
    public string? Kind { get; private init; }
    public string? Name { get; private init; }
    public IReadOnlyList<string>? Scopes { get; private init; }
    public IReadOnlyList<string> Roles { get; private init; } = [];
    public IReadOnlyList<string> Groups { get; private init; } = [];

    /// <returns>Null when it cannot be read.</returns>
    public static TokenClaims? Read(byte[] payload)
    {
        using var document = SignedToken.ParseObject(payload);
        if (document is null)
            return null;
        var reader = new Reader(document.RootElement);
        var claims = new TokenClaims
        {
            Issuer = reader.Text("iss"),
            Audiences = reader.Texts("aud"),
            ExpiresAt = reader.Time("exp"),
            NotBefore = reader.Time("nbf"),
            Subject = reader.Text("sub"),
            TenantId = reader.Text("tid"),
            ObjectId = reader.Text("oid"),
            Client = reader.Text("azp") ?? reader.Text("appid"),
            Kind = reader.Text("idtyp"),
            Name = Shown(reader.Text("name") ?? reader.Text("unique_name")),
            Scopes = reader.Text("scp")?.Split(' ', StringSplitOptions.RemoveEmptyEntries),
            Roles = [.. reader.Texts("roles"), .. reader.Texts("role")],
            Groups = reader.Texts("groups"),
        };
        return reader.IsWrong ? null : claims;
    }

    // For lists and the audit: whatever it says, it stays one short line.
    static string? Shown(string? name) => name is null ? null : new string([.. name.Where(c => !char.IsControl(c)).Take(100)]);

    sealed class Reader(JsonElement root)
    {
        public bool IsWrong { get; private set; }

        public string? Text(string claim)
        {
            if (!root.TryGetProperty(claim, out var value))
                return null;
            var text = SignedToken.Text(value);
            IsWrong |= text is null;
            return text;
        }

        // One text, or a list of them.
        public IReadOnlyList<string> Texts(string claim)
        {
            if (!root.TryGetProperty(claim, out var value))
                return [];
            if (value.ValueKind != JsonValueKind.Array)
                return Text(claim) is { } one ? [one] : [];
            if (value.GetArrayLength() > MostItems)
            {
                IsWrong = true;
                return [];
            }

            var texts = value.EnumerateArray().Select(SignedToken.Text).ToList();
            IsWrong |= texts.Contains(null);
            return [.. texts.OfType<string>()];
        }

        // Seconds since 1970, whole or not (RFC 7519, NumericDate).
        public DateTimeOffset? Time(string claim)
        {
            if (!root.TryGetProperty(claim, out var value))
                return null;
            if (value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var seconds) && seconds is >= 0 and <= LastSecond)
                return DateTimeOffset.UnixEpoch + TimeSpan.FromTicks((long)(seconds * TimeSpan.TicksPerSecond));
            IsWrong = true;
            return null;
        }
    }
}
