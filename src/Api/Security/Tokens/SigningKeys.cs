using System.Diagnostics.Metrics;
using System.Security.Cryptography;
using System.Text.Json;
using Contracts;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Api.Security.Tokens;

/// <summary>
/// The keys that Entra announces (OpenID Connect Discovery). They are read when first needed, again at half their time, and once in a while
/// when a token names one that is not among them: keys roll over at any time. When a reading fails, those at hand are used to the end
/// of their time.
/// </summary>
sealed partial class SigningKeys : IDisposable
{
    public const string ClientName = "Entra";

    /// <summary>Largest document, in bytes.</summary>
    public const int MostBytes = 256 * 1024;

    public static readonly TimeSpan Timeout = TimeSpan.FromSeconds(10);

    const int LeastBits = 2048, MostBits = 16384;
    const int MostKeys = 100;

    static readonly Meter Meter = new("Api.Security");
    static readonly Counter<long> Refreshes = Meter.CreateCounter<long>("jwks.refresh", description: "Readings of the signing keys");

    readonly Lock _gate = new();
    readonly IHttpClientFactory _clients;
    readonly EntraOptions _options;
    readonly TimeProvider _clock;
    readonly ILogger<SigningKeys> _logger;
    readonly ObservableGauge<double> _age;
    KeySet? _set;
    Task? _reading;
    long? _triedAt;

    public SigningKeys(IHttpClientFactory clients, IOptions<EntraOptions> options, TimeProvider clock, ILogger<SigningKeys> logger)
    {
        (_clients, _options, _clock, _logger) = (clients, options.Value, clock, logger);
        _age = Meter.CreateObservableGauge("jwks.age", Age, "s", "Time since the signing keys were read");
    }

    /// <returns>Null when there is no such key, also after looking again.</returns>
    /// <exception cref="FailureException">There are no keys to look in: nobody can be told from anybody.</exception>
    public async ValueTask<(RSAParameters Key, string Issuer)?> FindAsync(string keyId, CancellationToken cancellationToken)
    {
        var set = await CurrentAsync(cancellationToken);
        if (!set.Keys.TryGetValue(keyId, out var key))
        {
            await ReadAgainAsync(cancellationToken);
            set = await CurrentAsync(cancellationToken);
            if (!set.Keys.TryGetValue(keyId, out key))
                return null;
        }

        return (key, set.Issuer);
    }

    async ValueTask<KeySet> CurrentAsync(CancellationToken cancellationToken)
    {
        if (Believed() is { } set)
        {
            // Nobody waits for it.
            if (_clock.GetElapsedTime(set.ReadAt) > _options.KeysBelieved / 2 && MayTry())
                _ = Read();
            return set;
        }

        if (MayTry() || IsReading)
            await Read().WaitAsync(cancellationToken);
        return Believed() ?? throw new FailureException(
            new Failure("identity_provider_unavailable", "Who you are cannot be checked: the identity provider does not answer. Try again later."), isTransient: true);
    }

    KeySet? Believed()
    {
        lock (_gate)
            return _set is not null && _clock.GetElapsedTime(_set.ReadAt) <= _options.KeysBelieved ? _set : null;
    }

    bool IsReading
    {
        get
        {
            lock (_gate)
                return _reading is not null;
        }
    }

    async Task ReadAgainAsync(CancellationToken cancellationToken)
    {
        if (MayTry() || IsReading)
            await Read().WaitAsync(cancellationToken);
    }

    bool MayTry()
    {
        lock (_gate)
            return _triedAt is not { } at || _clock.GetElapsedTime(at) >= _options.RefreshPause;
    }

    // However many ask, one reads.
    Task Read()
    {
        lock (_gate)
        {
            if (_reading is not null)
                return _reading;
            _triedAt = _clock.GetTimestamp();
            return _reading = Task.Run(ReadOnceAsync);
        }
    }

    async Task ReadOnceAsync()
    {
        try
        {
            var set = await FetchAsync();
            lock (_gate)
                _set = set;
            Refreshes.Add(1, new KeyValuePair<string, object?>("result", "read"));
        }
        catch (Exception e) when (e is HttpRequestException or OperationCanceledException or InvalidDataException or JsonException)
        {
            Refreshes.Add(1, new KeyValuePair<string, object?>("result", "failed"));
            LogUnread(e.Message);
        }
        finally
        {
            lock (_gate)
                _reading = null;
        }
    }

    async Task<KeySet> FetchAsync()
    {
        using var http = _clients.CreateClient(ClientName);
        using var limit = new CancellationTokenSource(Timeout, _clock);
        var metadata = _options.MetadataAddress;
        using var described = await GetAsync(http, metadata, limit.Token);
        var issuer = Text(described.RootElement, "issuer") ?? throw new InvalidDataException("The metadata name no issuer.");
        if (!Uri.TryCreate(Text(described.RootElement, "jwks_uri"), UriKind.Absolute, out var address)
            || address.Scheme != Uri.UriSchemeHttps || address.Authority != metadata.Authority)
            throw new InvalidDataException("The metadata's jwks_uri is not an https address of the authority itself.");
        var readAt = _clock.GetTimestamp();
        using var keys = await GetAsync(http, address, limit.Token);
        return new KeySet(Keys(keys.RootElement), issuer, readAt);
    }

    static async Task<JsonDocument> GetAsync(HttpClient http, Uri address, CancellationToken cancellationToken)
    {
        using var response = await http.GetAsync(address, HttpCompletionOption.ResponseContentRead, cancellationToken);
        if (response.StatusCode != System.Net.HttpStatusCode.OK)
            throw new InvalidDataException($"{address.Authority} answered {(int)response.StatusCode}.");
        return SignedToken.ParseObject(await response.Content.ReadAsByteArrayAsync(cancellationToken)) ?? throw new InvalidDataException($"{address.Authority} answered no JSON object.");
    }

    static Dictionary<string, RSAParameters> Keys(JsonElement document)
    {
        if (!document.TryGetProperty("keys", out var list) || list.ValueKind != JsonValueKind.Array)
            throw new InvalidDataException("The key set has no keys.");
        var found = new Dictionary<string, RSAParameters>(StringComparer.Ordinal);
        foreach (var key in list.EnumerateArray().Take(MostKeys))
            if (key.ValueKind == JsonValueKind.Object && Text(key, "kid") is { Length: > 0 } id && Usable(key) is { } parameters)
                found.TryAdd(id, parameters);
        return found;
    }

    // What is for something else, or too weak, is as if it were not there.
    static RSAParameters? Usable(JsonElement key)
    {
        if (Text(key, "kty") != "RSA" || Text(key, "use") is not (null or "sig") || Text(key, "alg") is not (null or TokenValidator.Rs256)
            || Text(key, "n") is not { } n || Text(key, "e") is not { } e)
            return null;
        if (SignedToken.Decode(n) is not { } modulus || SignedToken.Decode(e) is not { Length: > 0 and <= 8 } exponent || (exponent[^1] & 1) == 0)
            return null;
        modulus = [.. modulus.SkipWhile(b => b == 0)];
        var bits = modulus.Length == 0 ? 0 : (modulus.Length * 8) - System.Numerics.BitOperations.LeadingZeroCount((uint)modulus[0]) + 24;
        if (bits is < LeastBits or > MostBits)
            return null;
        var parameters = new RSAParameters { Modulus = modulus, Exponent = exponent };
        try
        {
            using var rsa = RSA.Create(parameters);
            return parameters;
        }
        catch (CryptographicException)
        {
            return null;
        }
    }

    static string? Text(JsonElement element, string property) => element.TryGetProperty(property, out var value) ? SignedToken.Text(value) : null;

    IEnumerable<Measurement<double>> Age()
    {
        lock (_gate)
            return _set is null ? [] : [new Measurement<double>(_clock.GetElapsedTime(_set.ReadAt).TotalSeconds)];
    }

    public void Dispose() => GC.KeepAlive(_age);

    sealed record KeySet(IReadOnlyDictionary<string, RSAParameters> Keys, string Issuer, long ReadAt);

    [LoggerMessage(LogLevel.Warning, "The signing keys of tokens could not be read: {Reason}")]
    partial void LogUnread(string reason);
}
