using System.Buffers.Text;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Api.Security;
using Api.Security.Tokens;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace Api.Tests.Security.Tokens;

/// <summary>An identity provider in memory, its clock, and the validator that believes it.</summary>
sealed class Authority : HttpMessageHandler, IHttpClientFactory
{
    public const string TenantId = "11111111-2222-3333-4444-555555555555";
    public const string ObjectId = "99999999-8888-7777-6666-555555555555";
    public const string Audience = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee";
    public const string Host = "https://login.test";
    public static readonly string Issuer = $"{Host}/{TenantId}/v2.0";

    static readonly Lazy<RSA> Shared = new(() => RSA.Create(2048));

    readonly List<JsonObject> _keys = [];
    readonly ManualClock _clock = new();
    int _requests;

    public Authority(EntraOptions? options = null, DevelopmentTokens? development = null)
    {
        Options = options ?? new EntraOptions { TenantId = TenantId, Audiences = [Audience], Authority = Issuer };
        Publish("key-1", Key);
        var wrapped = Microsoft.Extensions.Options.Options.Create(Options);
        Keys = new SigningKeys(this, wrapped, _clock, NullLogger<SigningKeys>.Instance);
        Validator = new TokenValidator(Keys, new EntraCallers(wrapped, _clock), development ?? DevelopmentTokens.None, wrapped, _clock);
    }

    /// <summary>Made once for all tests: it takes a while.</summary>
    public static RSA Key => Shared.Value;

    public EntraOptions Options { get; }
    public SigningKeys Keys { get; }
    public TokenValidator Validator { get; }
    public DateTimeOffset Now => _clock.GetUtcNow();

    /// <summary>Documents read so far.</summary>
    public int Requests => Volatile.Read(ref _requests);

    /// <summary>What it answers instead, by path; null leaves it as it is.</summary>
    public Func<Uri, HttpResponseMessage?> Answer { get; set; } = _ => null;

    public string MetadataIssuer { get; set; } = Issuer;
    public string JwksUri { get; set; } = $"{Host}/keys";

    /// <summary>Held until released: how tests meet a reading under way.</summary>
    public TaskCompletionSource? Gate { get; set; }

    public void Pass(TimeSpan time) => _clock.Pass(time);

    public void Publish(string id, RSA key, Action<JsonObject>? change = null)
    {
        var parameters = key.ExportParameters(false);
        var jwk = new JsonObject { ["kty"] = "RSA", ["use"] = "sig", ["kid"] = id, ["n"] = Text(parameters.Modulus!), ["e"] = Text(parameters.Exponent!) };
        change?.Invoke(jwk);
        _keys.Add(jwk);
    }

    public void Withdraw(string id) => _keys.RemoveAll(key => (string?)key["kid"] == id);

    public async Task<TokenFault> FaultAsync(string token) => (await Validator.ValidateAsync(token, CancellationToken.None)).Fault;

    public async Task<Caller> CallerAsync(string token)
    {
        var (caller, fault) = await Validator.ValidateAsync(token, CancellationToken.None);
        fault.ShouldBe(TokenFault.None);
        return caller.ShouldNotBeNull();
    }

    public static JsonObject Header(string? keyId = "key-1") => new() { ["alg"] = "RS256", ["typ"] = "JWT", ["kid"] = keyId };

    public JsonObject Payload() => new()
    {
        ["iss"] = Issuer,
        ["aud"] = Audience,
        ["exp"] = (Now + TimeSpan.FromHours(1)).ToUnixTimeSeconds(),
        ["nbf"] = (Now - TimeSpan.FromMinutes(5)).ToUnixTimeSeconds(),
        ["tid"] = TenantId,
        ["oid"] = ObjectId,
        ["scp"] = "access_as_user",
        ["roles"] = new JsonArray("operator"),
        ["name"] = "Ada",
    };

    public string Token(Action<JsonObject>? payload = null, Action<JsonObject>? header = null, RSA? key = null)
    {
        var (h, p) = (Header(), Payload());
        header?.Invoke(h);
        payload?.Invoke(p);
        return Sign(h.ToJsonString(), p.ToJsonString(), key ?? Key);
    }

    public static string Sign(string header, string payload, RSA key)
    {
        var input = $"{Text(Encoding.UTF8.GetBytes(header))}.{Text(Encoding.UTF8.GetBytes(payload))}";
        return $"{input}.{Text(key.SignData(Encoding.ASCII.GetBytes(input), HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1))}";
    }

    public static string Hmac(string header, string payload, byte[] key)
    {
        var input = $"{Text(Encoding.UTF8.GetBytes(header))}.{Text(Encoding.UTF8.GetBytes(payload))}";
        return $"{input}.{Text(HMACSHA256.HashData(key, Encoding.ASCII.GetBytes(input)))}";
    }

    public static string Text(byte[] bytes) => Base64Url.EncodeToString(bytes);

    public HttpClient CreateClient(string name) => new(this, disposeHandler: false) { Timeout = SigningKeys.Timeout, MaxResponseContentBufferSize = SigningKeys.MostBytes };

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        Interlocked.Increment(ref _requests);
        request.Headers.Authorization.ShouldBeNull();
        if (Gate is { } gate)
            await gate.Task.WaitAsync(cancellationToken);
        if (Answer(request.RequestUri!) is { } answer)
            return answer;
        var json = request.RequestUri!.AbsolutePath.EndsWith("openid-configuration", StringComparison.Ordinal)
            ? new JsonObject { ["issuer"] = MetadataIssuer, ["jwks_uri"] = JwksUri }
            : new JsonObject { ["keys"] = new JsonArray([.. _keys.Select(key => key.DeepClone())]) };
        return Json(json.ToJsonString());
    }

    public static HttpResponseMessage Json(string text, HttpStatusCode status = HttpStatusCode.OK) =>
        new(status) { Content = new StringContent(text, Encoding.UTF8, "application/json") };

    /// <summary>Stands still until it is told.</summary>
    sealed class ManualClock : TimeProvider
    {
        DateTimeOffset _now = new(2026, 11, 25, 12, 0, 0, TimeSpan.Zero);

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public void Pass(TimeSpan time) => _now += time;

        public override DateTimeOffset GetUtcNow() => _now;

        public override long GetTimestamp() => _now.UtcTicks;
    }
}
