using System.Security.Cryptography;
using System.Text.Json.Nodes;
using Api.Security.Tokens;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace Api.Tests.Security.Tokens;

/// <summary>The same tokens before our validator and before Microsoft.IdentityModel, which shares no code with it.</summary>
public sealed class DifferentialTests
{
    const int Tokens = 3000;

    // Where ours asks for more than a library that serves everybody: each with the reason why.
    static readonly Dictionary<TokenFault, string> Stricter = new()
    {
        [TokenFault.Malformed] = "one writing of the same bytes, no padding and no blanks",
        [TokenFault.HeaderInvalid] = "no name twice, and texts that are texts",
        [TokenFault.CriticalNotSupported] = "no extension is understood, so none may be critical",
        [TokenFault.TypeNotAllowed] = "access tokens alone",
        [TokenFault.KeyIdMissing] = "no trying of all keys",
        [TokenFault.KeyUnknown] = "the key that is named, letter by letter, and no other",
        [TokenFault.PayloadInvalid] = "no name twice, and claims of their types",
        [TokenFault.TenantNotAllowed] = "the tenant must be in the token",
        [TokenFault.IdentityMissing] = "the object must be in the token",
    };

    static readonly Lazy<RSA> Stranger = new(() => RSA.Create(2048));

    readonly Authority _entra = new();

    [Fact]
    public async Task Ours_lets_in_nobody_whom_the_library_refuses_and_refuses_more_only_where_it_means_to()
    {
        const int Seed = 20261125;
        var random = new Random(Seed);
        var handler = new JsonWebTokenHandler();
        var (both, stricter) = (0, new HashSet<TokenFault>());
        for (var i = 0; i < Tokens; i++)
        {
            var token = Generate(random);
            var (caller, fault) = await _entra.Validator.ValidateAsync(token, CancellationToken.None);
            var theirs = await handler.ValidateTokenAsync(token, Parameters());
            var told = $"seed {Seed}, token {i}, ours {fault}, theirs {theirs.Exception?.GetType().Name}: {token}";
            if (caller is not null)
            {
                theirs.IsValid.ShouldBeTrue(told);
                both++;
            }
            else if (theirs.IsValid)
            {
                Stricter.ShouldContainKey(fault, told);
                stricter.Add(fault);
            }
        }

        // It would prove nothing if nobody were let in, or if all differences were of one kind.
        both.ShouldBeGreaterThan(Tokens / 20);
        stricter.Count.ShouldBeGreaterThan(3);
    }

    TokenValidationParameters Parameters() => new()
    {
        ValidAlgorithms = [SecurityAlgorithms.RsaSha256],
        IssuerSigningKey = new RsaSecurityKey(Authority.Key.ExportParameters(false)) { KeyId = "key-1" },
        TryAllIssuerSigningKeys = true,
        ValidIssuer = Authority.Issuer,
        ValidAudience = Authority.Audience,
        ClockSkew = TimeSpan.FromMinutes(2),
        LifetimeValidator = (start, end, _, _) => end is { } e && _entra.Now.UtcDateTime < e.AddMinutes(2) && (start is not { } s || _entra.Now.UtcDateTime >= s.AddMinutes(-2)),
    };

    string Generate(Random random)
    {
        var (header, payload) = (Authority.Header(), _entra.Payload());
        var changes = random.Next(4);
        for (var i = 0; i < changes; i++)
            Change(random, header, payload);
        var (h, p) = (header.ToJsonString(), payload.ToJsonString());
        if (random.Next(20) == 0)
            h = $"{{\"x\":1,\"x\":2,{h[1..]}";
        if (random.Next(20) == 0)
            p = $"{{\"tid\":\"{Authority.TenantId}\",{p[1..]}";
        var token = Authority.Sign(h, p, random.Next(15) == 0 ? Stranger.Value : Authority.Key);
        return random.Next(15) switch
        {
            0 => token[..^1],
            1 => token + "=",
            2 => token.Insert(random.Next(token.Length), "A"),
            3 => token.Replace('.', '/'),
            4 => $"{token}.{token[..10]}.x",
            _ => token,
        };
    }

    void Change(Random random, JsonObject header, JsonObject payload)
    {
        var now = _entra.Now.ToUnixTimeSeconds();
        switch (random.Next(22))
        {
            case 0: header["alg"] = Pick(random, "none", "HS256", "RS384", "RS512", "PS256", "ES256", "rs256"); break;
            case 1: header["typ"] = Pick(random, "jwt", "at+jwt", "JOSE", "dpop+jwt"); break;
            case 2: header["kid"] = Pick(random, "key-1", "key-2", "KEY-1"); break;
            case 3: header.Remove("kid"); break;
            case 4: header.Remove("typ"); break;
            case 5: header["crit"] = new JsonArray("exp"); break;
            case 6: header["jku"] = "https://evil.test/keys"; break;
            case 7: payload["exp"] = now + random.Next(-400, 400); break;
            case 8: payload["nbf"] = now + random.Next(-400, 400); break;
            case 9: payload["exp"] = now + random.Next(-400, 400) + 0.5; break;
            case 10: payload.Remove("exp"); break;
            case 11: payload.Remove("nbf"); break;
            case 12: payload["iss"] = Pick(random, Authority.Issuer + "/", "https://evil.test", ""); break;
            case 13: payload.Remove("iss"); break;
            case 14: payload["aud"] = new JsonArray("other", Authority.Audience); break;
            case 15: payload["aud"] = Pick(random, "other", "", Authority.Audience + " "); break;
            case 16: payload.Remove("aud"); break;
            case 17: payload.Remove(Pick(random, "tid", "oid", "scp", "roles", "name")); break;
            case 18: payload["oid"] = Pick(random, "ada", ""); break;
            case 19: payload["roles"] = Pick(random, "admin", "viewer"); break;
            case 20: payload[$"extra{random.Next(3)}"] = new JsonObject { ["deep"] = new JsonArray(1, 2.5, true, null) }; break;
            default: payload["name"] = "Ünï \"quoted\" \u0000 🚀"; break;
        }
    }

    static string Pick(Random random, params string[] choices) => choices[random.Next(choices.Length)];
}
