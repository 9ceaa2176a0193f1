using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Api.Security;
using Api.Security.Tokens;

namespace Api.Tests.Security.Tokens;

public sealed class TokenValidatorTests
{
    readonly Authority _entra = new();

    [Fact]
    public async Task A_right_token_is_its_tenants_and_its_objects()
    {
        var caller = await _entra.CallerAsync(_entra.Token());
        caller.ShouldBe(new Caller(Authority.TenantId, $"user:{Authority.ObjectId}", "Ada", Role.Operator, caller.ExpiresAt));
        caller.ExpiresAt.ShouldBe(_entra.Now + TimeSpan.FromHours(1));
    }

    [Fact]
    public async Task An_application_without_a_scope_is_told_from_a_person()
    {
        (await _entra.CallerAsync(_entra.Token(p => { p.Remove("scp"); p.Remove("name"); p["azp"] = "client"; }))).ShouldBe(
            new Caller(Authority.TenantId, $"app:{Authority.ObjectId}", "client", Role.Operator, _entra.Now + TimeSpan.FromHours(1)));
        (await _entra.CallerAsync(_entra.Token(p => p["idtyp"] = "app"))).Id.ShouldStartWith("app:");
    }

    public static TheoryData<string, TokenFault, Action<JsonObject>?, Action<JsonObject>?> Wrong => new()
    {
        { "none", TokenFault.AlgorithmNotAllowed, null, h => h["alg"] = "none" },
        { "None", TokenFault.AlgorithmNotAllowed, null, h => h["alg"] = "None" },
        { "nOnE", TokenFault.AlgorithmNotAllowed, null, h => h["alg"] = "nOnE" },
        { "rs256 in small letters", TokenFault.AlgorithmNotAllowed, null, h => h["alg"] = "rs256" },
        { "RS384", TokenFault.AlgorithmNotAllowed, null, h => h["alg"] = "RS384" },
        { "PS256", TokenFault.AlgorithmNotAllowed, null, h => h["alg"] = "PS256" },
        { "ES256", TokenFault.AlgorithmNotAllowed, null, h => h["alg"] = "ES256" },
        { "HS256", TokenFault.AlgorithmNotAllowed, null, h => h["alg"] = "HS256" },
        { "no alg", TokenFault.HeaderInvalid, null, h => h.Remove("alg") },
        { "alg is no text", TokenFault.HeaderInvalid, null, h => h["alg"] = 256 },
        { "alg is a list", TokenFault.HeaderInvalid, null, h => h["alg"] = new JsonArray("RS256") },
        { "crit", TokenFault.CriticalNotSupported, null, h => h["crit"] = new JsonArray("exp") },
        { "b64 by crit", TokenFault.CriticalNotSupported, null, h => { h["b64"] = false; h["crit"] = new JsonArray("b64"); } },
        { "another typ", TokenFault.TypeNotAllowed, null, h => h["typ"] = "dpop+jwt" },
        { "typ is no text", TokenFault.TypeNotAllowed, null, h => h["typ"] = 1 },
        { "no kid", TokenFault.KeyIdMissing, null, h => h.Remove("kid") },
        { "an empty kid", TokenFault.HeaderInvalid, null, h => h["kid"] = "" },
        { "kid is no text", TokenFault.HeaderInvalid, null, h => h["kid"] = 1 },
        { "a long kid", TokenFault.HeaderInvalid, null, h => h["kid"] = new string('k', 257) },
        { "kid in other letters", TokenFault.KeyUnknown, null, h => h["kid"] = "KEY-1" },
        { "a path as kid", TokenFault.KeyUnknown, null, h => h["kid"] = "../../dev/null" },
        { "no issuer", TokenFault.IssuerWrong, p => p.Remove("iss"), null },
        { "another issuer", TokenFault.IssuerWrong, p => p["iss"] = "https://evil.test/v2.0", null },
        { "the issuer with a slash", TokenFault.IssuerWrong, p => p["iss"] = Authority.Issuer + "/", null },
        { "another tenant by its issuer", TokenFault.IssuerWrong, p => p["iss"] = Authority.Issuer.Replace("1111", "2222", StringComparison.Ordinal), null },
        { "another tenant", TokenFault.TenantNotAllowed, p => p["tid"] = "22222222-2222-3333-4444-555555555555", null },
        { "no tenant", TokenFault.TenantNotAllowed, p => p.Remove("tid"), null },
        { "a tenant that is no GUID", TokenFault.TenantNotAllowed, p => p["tid"] = "local", null },
        { "no audience", TokenFault.AudienceWrong, p => p.Remove("aud"), null },
        { "another audience", TokenFault.AudienceWrong, p => p["aud"] = "someone", null },
        { "the audience in capital letters", TokenFault.AudienceWrong, p => p["aud"] = Authority.Audience.ToUpperInvariant(), null },
        { "audiences, none right", TokenFault.AudienceWrong, p => p["aud"] = new JsonArray("a", "b"), null },
        { "an audience that is a number", TokenFault.PayloadInvalid, p => p["aud"] = 1, null },
        { "an audience in a list in a list", TokenFault.PayloadInvalid, p => p["aud"] = new JsonArray(new JsonArray(Authority.Audience)), null },
        { "no expiry", TokenFault.ExpiryMissing, p => p.Remove("exp"), null },
        { "expiry as text", TokenFault.PayloadInvalid, p => p["exp"] = "1900000000", null },
        { "expiry before 1970", TokenFault.PayloadInvalid, p => p["exp"] = -1, null },
        { "expiry after 9999", TokenFault.PayloadInvalid, p => p["exp"] = 1e300, null },
        { "expiry null", TokenFault.PayloadInvalid, p => p["exp"] = null, null },
        { "start as text", TokenFault.PayloadInvalid, p => p["nbf"] = "now", null },
        { "no object id", TokenFault.IdentityMissing, p => p.Remove("oid"), null },
        { "an object id that is no GUID", TokenFault.IdentityMissing, p => p["oid"] = "ada@example.com", null },
        { "roles as numbers", TokenFault.PayloadInvalid, p => p["roles"] = new JsonArray(1), null },
        { "too many groups", TokenFault.PayloadInvalid, p => p["groups"] = new JsonArray([.. Enumerable.Range(0, 1001).Select(_ => JsonValue.Create("g"))]), null },
    };

    [Theory]
    [MemberData(nameof(Wrong))]
    public async Task A_wrong_token_is_refused_for_what_is_wrong(string what, TokenFault fault, Action<JsonObject>? payload, Action<JsonObject>? header) =>
        (await _entra.FaultAsync(_entra.Token(payload, header))).ShouldBe(fault, what);

    [Fact]
    public async Task Clocks_may_differ_by_two_minutes_and_not_by_a_moment_more()
    {
        var token = _entra.Token(p => { p["exp"] = (_entra.Now + TimeSpan.FromMinutes(10)).ToUnixTimeSeconds(); p["nbf"] = (_entra.Now + TimeSpan.FromMinutes(2)).ToUnixTimeSeconds(); });
        (await _entra.FaultAsync(token)).ShouldBe(TokenFault.None);
        _entra.Pass(TimeSpan.FromMinutes(12) - TimeSpan.FromTicks(1));
        (await _entra.FaultAsync(token)).ShouldBe(TokenFault.None);
        _entra.Pass(TimeSpan.FromTicks(1));
        (await _entra.FaultAsync(token)).ShouldBe(TokenFault.Expired);

        (await _entra.FaultAsync(_entra.Token(p => p["nbf"] = (_entra.Now + TimeSpan.FromMinutes(2)).ToUnixTimeSeconds() + 1))).ShouldBe(TokenFault.NotYetValid);
        (await _entra.FaultAsync(_entra.Token(p => p["exp"] = (_entra.Now - TimeSpan.FromMinutes(2)).ToUnixTimeSeconds() + 0.5))).ShouldBe(TokenFault.None);
    }

    [Fact]
    public async Task A_name_given_twice_is_refused_though_the_signature_is_right()
    {
        var (header, payload) = (Authority.Header().ToJsonString(), _entra.Payload().ToJsonString());
        (await _entra.FaultAsync(Authority.Sign(header, payload, Authority.Key))).ShouldBe(TokenFault.None);
        foreach (var twice in new[] { "\"alg\":\"RS256\"", "\"alg\":\"none\"", "\"kid\":\"key-1\"", "\"\\u0061lg\":\"none\"", "\"x\":1,\"x\":1" })
            (await _entra.FaultAsync(Authority.Sign($"{{{twice},{header[1..]}", payload, Authority.Key))).ShouldBe(TokenFault.HeaderInvalid, twice);
        foreach (var twice in new[] { "\"tid\":\"22222222-2222-3333-4444-555555555555\"", "\"exp\":1", "\"\\u0074id\":\"x\"", "\"x\":{\"y\":1,\"y\":2}" })
            (await _entra.FaultAsync(Authority.Sign(header, $"{{{twice},{payload[1..]}", Authority.Key))).ShouldBe(TokenFault.PayloadInvalid, twice);
    }

    [Fact]
    public async Task The_public_key_is_no_secret_to_sign_with()
    {
        var (header, payload) = (Authority.Header(), _entra.Payload().ToJsonString());
        header["alg"] = "HS256";
        var parameters = Authority.Key.ExportParameters(false);
        var jwk = new JsonObject { ["kty"] = "RSA", ["n"] = Authority.Text(parameters.Modulus!), ["e"] = Authority.Text(parameters.Exponent!) }.ToJsonString();
        // Also where a developer's secret makes HS256 possible.
        var developing = new Authority(development: new DevelopmentTokens([RandomNumberGenerator.GetBytes(32)], "dotnet-user-jwts", ["x"]));
        foreach (var secret in new[]
                 {
                     parameters.Modulus!, Authority.Key.ExportSubjectPublicKeyInfo(), Authority.Key.ExportRSAPublicKey(), Encoding.ASCII.GetBytes(Authority.Key.ExportSubjectPublicKeyInfoPem()),
                     Encoding.ASCII.GetBytes(Authority.Key.ExportSubjectPublicKeyInfoPem() + "\n"), Encoding.ASCII.GetBytes(jwk), [],
                 })
        {
            var token = Authority.Hmac(header.ToJsonString(), payload, secret);
            (await _entra.FaultAsync(token)).ShouldBe(TokenFault.AlgorithmNotAllowed);
            (await developing.FaultAsync(token)).ShouldBe(TokenFault.SignatureWrong);
            (await _entra.FaultAsync(Authority.Hmac(Authority.Header().ToJsonString(), payload, secret))).ShouldBe(TokenFault.SignatureWrong);
        }
    }

    [Fact]
    public async Task A_developers_secret_makes_no_token_of_Entras_and_Entras_key_none_of_a_developers()
    {
        var secret = RandomNumberGenerator.GetBytes(32);
        var both = new Authority(development: new DevelopmentTokens([secret], "dotnet-user-jwts", ["http://localhost:5000"]));
        var payload = new JsonObject { ["iss"] = "dotnet-user-jwts", ["aud"] = "http://localhost:5000", ["sub"] = "ada", ["exp"] = (both.Now + TimeSpan.FromHours(1)).ToUnixTimeSeconds(), ["roles"] = "admin" };
        const string Header = """{"alg":"HS256","typ":"JWT"}""";
        (await both.CallerAsync(Authority.Hmac(Header, payload.ToJsonString(), secret))).ShouldBe(new Caller("local", "user:ada", null, Role.Admin, both.Now + TimeSpan.FromHours(1)));

        (await both.FaultAsync(Authority.Hmac(Header, both.Payload().ToJsonString(), secret))).ShouldBe(TokenFault.IssuerWrong);
        (await both.FaultAsync(Authority.Sign(Authority.Header().ToJsonString(), payload.ToJsonString(), Authority.Key))).ShouldBeOneOf(TokenFault.IssuerWrong, TokenFault.TenantNotAllowed);
        (await _entra.FaultAsync(Authority.Hmac(Header, payload.ToJsonString(), secret))).ShouldBe(TokenFault.AlgorithmNotAllowed);
        payload["aud"] = "http://other";
        (await both.FaultAsync(Authority.Hmac(Header, payload.ToJsonString(), secret))).ShouldBe(TokenFault.AudienceWrong);
    }

    [Fact]
    public async Task The_form_is_that_of_RFC_7515_and_no_other()
    {
        var token = _entra.Token();
        var parts = token.Split('.');
        foreach (var (text, fault) in new[]
                 {
                     ("", TokenFault.Malformed), (".", TokenFault.Malformed), ("..", TokenFault.HeaderInvalid), ("a.b", TokenFault.Malformed), ($"{token}.", TokenFault.Malformed),
                     ($"{token}.x.y", TokenFault.Encrypted), ("....", TokenFault.Encrypted), ($" {token}", TokenFault.Malformed), ($"{token}\n", TokenFault.Malformed),
                     ($"{parts[0]}=.{parts[1]}.{parts[2]}", TokenFault.Malformed), ($"{parts[0]}.{parts[1]} .{parts[2]}", TokenFault.Malformed), ($"{parts[0]}.{parts[1]}.", TokenFault.SignatureWrong),
                     ($"{parts[0]}.{parts[1]}.{parts[2].Replace('-', '+').Replace('_', '/')}=", TokenFault.Malformed), ($"{parts[0]}.{parts[1]}.A", TokenFault.Malformed),
                     (new string('a', SignedToken.Longest + 1), TokenFault.TooLong), ($"{Authority.Text("[]"u8.ToArray())}.{parts[1]}.{parts[2]}", TokenFault.HeaderInvalid),
                     ($"{Authority.Text([0xFF, 0xFE])}.{parts[1]}.{parts[2]}", TokenFault.HeaderInvalid), ($"{Authority.Text("{\"alg\":\"RS256\",\"kid\":\"\\ud800\"}"u8.ToArray())}.{parts[1]}.{parts[2]}", TokenFault.HeaderInvalid),
                     ($"{Authority.Text(Encoding.UTF8.GetBytes(new string('[', 5000)))}.{parts[1]}.{parts[2]}", TokenFault.HeaderInvalid),
                     ($"{parts[0]}.{parts[0]}.{parts[2]}", TokenFault.SignatureWrong),
                 })
            (await _entra.FaultAsync(text)).ShouldBe(fault, text.Length > 200 ? text[..200] : text);
    }

    [Fact]
    public async Task The_same_bytes_written_in_another_way_are_refused()
    {
        var token = _entra.Token();
        // A 256 byte signature leaves four bits of its last letter unused.
        var last = token[^1];
        var others = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".Where(c => c != last).Select(c => token[..^1] + c).ToList();
        var faults = new List<TokenFault>();
        foreach (var other in others)
            faults.Add(await _entra.FaultAsync(other));
        faults.ShouldAllBe(fault => fault == TokenFault.Malformed || fault == TokenFault.SignatureWrong);
        faults.Count(fault => fault == TokenFault.Malformed).ShouldBeGreaterThan(40);
    }

    [Fact]
    public async Task Many_tenants_have_an_issuer_each_and_only_those_named_come_in()
    {
        const string Second = "22222222-2222-3333-4444-555555555555", Third = "33333333-2222-3333-4444-555555555555";
        var many = new Authority(new EntraOptions { TenantId = "organizations", AllowedTenants = [Authority.TenantId, Second], Audiences = ["api://x"], Authority = $"{Authority.Host}/organizations/v2.0" })
        {
            MetadataIssuer = $"{Authority.Host}/{{tenantid}}/v2.0",
        };
        string Of(string tenant, string issuer) => many.Token(p => { p["tid"] = tenant; p["iss"] = $"{Authority.Host}/{issuer}/v2.0"; p["aud"] = new JsonArray("other", "api://x"); });
        (await many.CallerAsync(Of(Authority.TenantId, Authority.TenantId))).Tenant.ShouldBe(Authority.TenantId);
        (await many.CallerAsync(Of(Second, Second))).Tenant.ShouldBe(Second);
        (await many.FaultAsync(Of(Third, Third))).ShouldBe(TokenFault.TenantNotAllowed);
        (await many.FaultAsync(Of(Second, Authority.TenantId))).ShouldBe(TokenFault.IssuerWrong);
        (await many.FaultAsync(Of("{tenantid}", "{tenantid}"))).ShouldBe(TokenFault.TenantNotAllowed);
    }

    [Fact]
    public async Task Scope_and_client_are_asked_for_where_they_are_named()
    {
        var strict = new Authority(new EntraOptions { TenantId = Authority.TenantId, Audiences = [Authority.Audience], Authority = Authority.Issuer, RequiredScope = "access_as_user", ClientIds = ["portal"] });
        (await strict.FaultAsync(strict.Token())).ShouldBe(TokenFault.ClientNotAllowed);
        (await strict.FaultAsync(strict.Token(p => p["azp"] = "portal"))).ShouldBe(TokenFault.None);
        (await strict.FaultAsync(strict.Token(p => p["appid"] = "portal"))).ShouldBe(TokenFault.None);
        (await strict.FaultAsync(strict.Token(p => { p["azp"] = "portal"; p["scp"] = "openid access_as_user_too"; }))).ShouldBe(TokenFault.ScopeMissing);
        (await strict.FaultAsync(strict.Token(p => { p["azp"] = "portal"; p["scp"] = ""; }))).ShouldBe(TokenFault.ScopeMissing);
    }

    [Fact]
    public async Task Roles_come_from_roles_and_groups_and_the_highest_counts()
    {
        const string Group = "44444444-2222-3333-4444-555555555555";
        var mapped = new Authority(new EntraOptions
        {
            TenantId = Authority.TenantId,
            Audiences = [Authority.Audience],
            Authority = Authority.Issuer,
            Roles = new() { ["Sagas.Write"] = Role.Operator, ["viewer"] = Role.Admin },
            Groups = new() { [Group] = Role.Admin },
        });
        foreach (var (roles, groups, expected) in new (string[], string[], Role?)[]
                 {
                     ([], [], null), (["unknown"], ["unknown"], null), (["operator"], [], Role.Operator), (["Sagas.Write"], [], Role.Operator), (["sagas.write"], [], null),
                     (["operator", "admin"], [], Role.Admin), ([], [Group], Role.Admin), (["viewer"], [], Role.Admin), (["Admin"], [], null),
                 })
            (await mapped.CallerAsync(mapped.Token(p => { p["roles"] = new JsonArray([.. roles.Select(r => JsonValue.Create(r))]); p["groups"] = new JsonArray([.. groups.Select(g => JsonValue.Create(g))]); })))
                .Role.ShouldBe(expected, string.Join(", ", roles));
    }

    [Fact]
    public async Task A_name_stays_one_short_line() =>
        (await _entra.CallerAsync(_entra.Token(p => p["name"] = "Ada\r\nX-Evil: 1" + new string('a', 500)))).Name.ShouldBe(("AdaX-Evil: 1" + new string('a', 500))[..100]);
}
