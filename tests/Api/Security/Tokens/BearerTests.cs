using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Api.Security.Tokens;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace Api.Tests.Security.Tokens;

/// <summary>The API with Entra's tokens, and an authority in memory.</summary>
public sealed class EntraHost : ApiHost
{
    internal Authority Entra { get; } = new();

    private protected override IReadOnlyDictionary<string, string?> Settings => new Dictionary<string, string?>
    {
        ["Authentication:Entra:TenantId"] = Authority.TenantId,
        ["Authentication:Entra:Audiences:0"] = Authority.Audience,
        ["Authentication:Entra:Authority"] = Authority.Issuer,
        ["Tenancy:Home"] = Authority.TenantId,
    };

    private protected override void Change(IServiceCollection services) =>
        services.AddHttpClient(SigningKeys.ClientName).ConfigurePrimaryHttpMessageHandler(() => Entra);

    internal static string Token(Action<JsonObject>? change = null, string? alg = null) => new Authority().Token(
        payload =>
        {
            payload["exp"] = TimeProvider.System.GetUtcNow().ToUnixTimeSeconds() + 600;
            payload.Remove("nbf");
            change?.Invoke(payload);
        },
        alg is null ? null : header => header["alg"] = alg);

    public async Task<HttpResponseMessage> SendAsync(string? authorization, string path = "/api/v1/batch-inference/jobs", HttpMethod? method = null)
    {
        using var request = new HttpRequestMessage(method ?? HttpMethod.Get, path);
        if (method == HttpMethod.Post)
            request.Content = JsonContent.Create(new { reason = "x" });
        if (authorization is not null)
            request.Headers.TryAddWithoutValidation("Authorization", authorization);
        return await Client.SendAsync(request);
    }
}

[Trait("Category", "Server")]
public sealed class BearerTests(EntraHost host) : IClassFixture<EntraHost>
{
    [Fact]
    public async Task A_right_token_opens_by_its_role()
    {
        (await host.SendAsync($"Bearer {EntraHost.Token()}")).StatusCode.ShouldBe(HttpStatusCode.OK);
        (await host.SendAsync($"bearer {EntraHost.Token(p => p["roles"] = "viewer")}")).StatusCode.ShouldBe(HttpStatusCode.OK);
        await (await host.SendAsync($"Bearer {EntraHost.Token(p => p["roles"] = "viewer")}", method: HttpMethod.Post)).ProblemAsync(403, "forbidden");
        await (await host.SendAsync($"Bearer {EntraHost.Token(p => p.Remove("roles"))}")).ProblemAsync(403, "forbidden");
        (await host.SendAsync($"Bearer {EntraHost.Token(p => p["roles"] = "admin")}", "/api/v1/operations/audit")).StatusCode.ShouldBe(HttpStatusCode.OK);
    }

    [Fact]
    public async Task Its_tenant_sees_its_own_rows_alone()
    {
        var theirs = await host.AddJobAsync(Sagas.WorkLedger.WorkJobState.Running, null);
        await (await host.SendAsync($"Bearer {EntraHost.Token()}", $"/api/v1/batch-inference/jobs/{theirs}")).ProblemAsync(404, "job_not_found");
    }

    [Fact]
    public async Task Whatever_is_wrong_the_answer_is_401_and_says_nothing_of_it()
    {
        var token = EntraHost.Token();
        string?[] wrong =
        [
            null, "", "Bearer", "Bearer ", $"Basic {token}", token, $"Bearer  {token}", $"Bearer {token} x", $"Bearer {token},Bearer {token}", $"Bearer {token[..^3]}",
            $"Bearer {EntraHost.Token(p => p["exp"] = 1)}", $"Bearer {EntraHost.Token(p => p["aud"] = "x")}", $"Bearer {EntraHost.Token(p => p["iss"] = "x")}",
            $"Bearer {EntraHost.Token(alg: "none")}", $"Bearer {EntraHost.Token(alg: "HS256")}", $"Bearer {new string('a', 20_000)}", "Bearer ..", "Bearer ....", "Bearer e30.e30.e30",
            $"Bearer {Authority.Text(System.Text.Encoding.ASCII.GetBytes(new string('[', 9000)))}.e30.e30",
        ];
        foreach (var authorization in wrong)
        {
            var response = await host.SendAsync(authorization);
            await response.ProblemAsync(401, "not_authenticated");
            var challenge = response.Headers.WwwAuthenticate.ToString();
            challenge.ShouldStartWith("Bearer");
            challenge.ShouldNotContain("description");
        }

        // Never by the address, which ends up in logs and histories.
        (await host.SendAsync(null, $"/api/v1/batch-inference/jobs?access_token={token}")).StatusCode.ShouldBe(HttpStatusCode.Unauthorized);
    }
}

/// <summary>An authority that does not answer.</summary>
[Trait("Category", "Server")]
public sealed class AuthorityOutageTests(EntraHost host) : IClassFixture<EntraHost>
{
    [Fact]
    public async Task While_nobody_can_be_told_from_anybody_the_answer_is_503()
    {
        host.Entra.Answer = _ => throw new HttpRequestException("No route to host.");
        var response = await host.SendAsync($"Bearer {EntraHost.Token()}");
        await response.ProblemAsync(503, "identity_provider_unavailable");
        response.Headers.RetryAfter.ShouldNotBeNull();
        (await host.SendAsync("Bearer nonsense")).StatusCode.ShouldBe(HttpStatusCode.Unauthorized);
    }
}

/// <summary>What <c>dotnet user-jwts</c> leaves in the configuration.</summary>
public sealed class DevelopmentTokensTests
{
    [Theory]
    [InlineData("Development", true)]
    [InlineData("Production", false)]
    [InlineData("Staging", false)]
    [InlineData("Test", false)]
    public void Developers_keys_are_read_in_Development_and_stop_the_start_anywhere_else(string environment, bool isRead)
    {
        var configuration = new ConfigurationBuilder().AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["Authentication:Schemes:Bearer:ValidIssuer"] = "dotnet-user-jwts",
            ["Authentication:Schemes:Bearer:ValidAudiences:0"] = "http://localhost:8080",
            ["Authentication:Schemes:Bearer:SigningKeys:0:Issuer"] = "dotnet-user-jwts",
            ["Authentication:Schemes:Bearer:SigningKeys:0:Value"] = Convert.ToBase64String(System.Security.Cryptography.RandomNumberGenerator.GetBytes(32)),
            ["Authentication:Schemes:Bearer:SigningKeys:1:Issuer"] = "dotnet-user-jwts",
            ["Authentication:Schemes:Bearer:SigningKeys:1:Value"] = "not base64",
        }).Build();
        var host = new Microsoft.Extensions.Hosting.Internal.HostingEnvironment { EnvironmentName = environment };
        if (isRead)
            DevelopmentTokens.Read(configuration, host).Keys.Count.ShouldBe(1);
        else
            Should.Throw<ServiceDefaults.Secrets.SecretException>(() => DevelopmentTokens.Read(configuration, host)).Message.ShouldContain($"this is {environment}");
    }
}
