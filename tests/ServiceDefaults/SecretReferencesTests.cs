using System.Net;
using System.Security.Cryptography;
using System.Text;
using Azure.Core;
using Azure.Core.Pipeline;
using Azure.Security.KeyVault.Secrets;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting;
using ServiceDefaults.Secrets;
using Support;

namespace ServiceDefaults.Tests;

public sealed class SecretReferencesTests : IDisposable
{
    static readonly string Secret = Convert.ToHexString(RandomNumberGenerator.GetBytes(24));

    readonly TestFolder _folder = new();
    readonly List<HttpRequestMessage> _asked = [];

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_file_gives_its_content_without_the_line_break()
    {
        File.WriteAllText(_folder["pg"], $"{Secret}\r\n");
        Resolve($"@File({_folder["pg"]})").ShouldBe(Secret);
    }

    [Theory]
    [InlineData("@Microsoft.KeyVault(SecretUri=https://corp.vault.azure.net/secrets/pg)", "/secrets/pg")]
    [InlineData("@Microsoft.KeyVault(SecretUri=https://corp.vault.azure.net/secrets/pg/0123456789abcdef)", "/secrets/pg/0123456789abcdef")]
    [InlineData("@Microsoft.KeyVault(VaultName=corp;SecretName=pg)", "/secrets/pg")]
    [InlineData("@Microsoft.KeyVault(VaultName=corp;SecretName=pg;SecretVersion=0123456789abcdef)", "/secrets/pg/0123456789abcdef")]
    public void A_vault_gives_its_secret_and_nobody_else_is_asked(string reference, string path)
    {
        Resolve(reference).ShouldBe(Secret);
        _asked.ShouldAllBe(request => request.RequestUri!.Host == "corp.vault.azure.net");
        _asked[^1].RequestUri!.AbsolutePath.ShouldBe(path);
        _asked[^1].Headers.Authorization!.Parameter.ShouldBe("of-a-test");
    }

    [Theory]
    [InlineData("@File()")]
    [InlineData("@File(relative/path)")]
    [InlineData("@File(/nowhere/at/all)")]
    [InlineData("@Microsoft.KeyVault(SecretUri=http://corp.vault.azure.net/secrets/pg)")]
    [InlineData("@Microsoft.KeyVault(SecretUri=https://evil.test/secrets/pg)")]
    [InlineData("@Microsoft.KeyVault(SecretUri=https://vault.azure.net.evil.test/secrets/pg)")]
    [InlineData("@Microsoft.KeyVault(SecretUri=https://corp.vault.azure.net:8443/secrets/pg)")]
    [InlineData("@Microsoft.KeyVault(SecretUri=https://corp.vault.azure.net/keys/pg)")]
    [InlineData("@Microsoft.KeyVault(VaultName=corp.evil.test#;SecretName=pg)")]
    [InlineData("@Microsoft.KeyVault(whatever)")]
    public void What_cannot_be_read_stops_the_start_with_the_settings_name(string reference)
    {
        Should.Throw<SecretException>(() => Resolve(reference)).Message.ShouldStartWith("Some:Setting ");
        _asked.ShouldBeEmpty();
    }

    [Theory]
    [InlineData(HttpStatusCode.NotFound, "it is not there")]
    [InlineData(HttpStatusCode.Forbidden, "may not read it")]
    [InlineData(HttpStatusCode.InternalServerError, "answered 500")]
    public void A_vault_that_refuses_is_told_of_in_a_sentence(HttpStatusCode status, string reason)
    {
        var refused = Should.Throw<SecretException>(() => Resolve("@Microsoft.KeyVault(VaultName=corp;SecretName=pg)", _ => new HttpResponseMessage(status) { Content = new StringContent(Secret) }));
        refused.Message.ShouldContain(reason);
        refused.Message.ShouldNotContain(Secret);
    }

    [Fact]
    public void A_vault_that_does_not_answer_too() =>
        Should.Throw<SecretException>(() => Resolve("@Microsoft.KeyVault(VaultName=corp;SecretName=pg)", _ => throw new HttpRequestException("No route.")))
            .Message.ShouldContain("the vault does not answer");

    [Theory]
    [InlineData("Messaging:RabbitMq:Password", "x")]
    [InlineData("ConnectionStrings:Sagas", "Host=db;Password=x")]
    [InlineData("ConnectionStrings:Sagas", "Host=db; Pwd = x")]
    [InlineData("Storage:ConnectionString", "x")]
    [InlineData("Storage:AccountKey", "x")]
    [InlineData("Authentication:Schemes:Bearer:SigningKeys:0:Value", "x")]
    public void In_Production_no_secret_comes_from_a_settings_file(string setting, string value)
    {
        var refused = Should.Throw<SecretException>(() => Start(Environments.Production, setting, value));
        refused.Message.ShouldContain(setting);
        refused.Message.ShouldContain("appsettings.json");
        refused.Message.ShouldNotContain("=x");
        Start(Environments.Development, setting, value)[setting].ShouldBe(value);
    }

    [Fact]
    public void What_is_no_secret_may_and_so_may_a_reference_and_the_environment_has_the_last_word()
    {
        Start(Environments.Production, "ConnectionStrings:Sagas", "Host=db;Database=x;Username=y")["ConnectionStrings:Sagas"].ShouldNotBeNull();
        Start(Environments.Production, "Postgres:PasswordFile", "/run/secrets/pg")["Postgres:PasswordFile"].ShouldNotBeNull();
        File.WriteAllText(_folder["pg"], Secret);
        Start(Environments.Production, "Messaging:RabbitMq:Password", $"@File({_folder["pg"]})")["Messaging:RabbitMq:Password"].ShouldBe(Secret);
        Start(Environments.Production, "Messaging:RabbitMq:Password", "x", "--Messaging:RabbitMq:Password=y")["Messaging:RabbitMq:Password"].ShouldBe("y");
    }

    string? Resolve(string reference, Func<HttpRequestMessage, HttpResponseMessage>? answer = null)
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?> { ["Some:Setting"] = reference, ["Other"] = "@home" });
        builder.ResolveSecrets(vault => new SecretClient(vault, new Token(), new SecretClientOptions
        {
            Transport = new HttpClientTransport(new Vault(_asked, answer ?? Give)),
            Retry = { MaxRetries = 0 },
            DisableChallengeResourceVerification = false,
        }));
        builder.Configuration["Other"].ShouldBe("@home");
        return builder.Configuration["Some:Setting"];
    }

    ConfigurationManager Start(string environment, string setting, string value, params string[] arguments)
    {
        File.WriteAllText(_folder["appsettings.json"], $$"""{ "{{setting}}": "{{value}}" }""");
        var builder = Host.CreateApplicationBuilder(new HostApplicationBuilderSettings { EnvironmentName = environment, ContentRootPath = _folder.Path, Args = arguments });
        builder.ResolveSecrets();
        return builder.Configuration;
    }

    static HttpResponseMessage Give(HttpRequestMessage request) => new(HttpStatusCode.OK)
    {
        Content = new StringContent($$"""{ "value": "{{Secret}}", "id": "{{request.RequestUri!.GetLeftPart(UriPartial.Path)}}" }""", Encoding.UTF8, "application/json"),
    };

    /// <summary>First asks who is there, as the real one does.</summary>
    sealed class Vault(List<HttpRequestMessage> asked, Func<HttpRequestMessage, HttpResponseMessage> answer) : HttpMessageHandler
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) => Task.FromResult(Send(request, cancellationToken));

        protected override HttpResponseMessage Send(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            asked.Add(request);
            if (request.Headers.Authorization is not null)
                return answer(request);
            var challenge = new HttpResponseMessage(HttpStatusCode.Unauthorized) { Content = new StringContent("") };
            challenge.Headers.TryAddWithoutValidation("WWW-Authenticate", """Bearer authorization="https://login.test/tenant", resource="https://vault.azure.net" """.Trim());
            return challenge;
        }
    }

    sealed class Token : TokenCredential
    {
        public override AccessToken GetToken(TokenRequestContext requestContext, CancellationToken cancellationToken) => new("of-a-test", DateTimeOffset.MaxValue);

        public override ValueTask<AccessToken> GetTokenAsync(TokenRequestContext requestContext, CancellationToken cancellationToken) => new(GetToken(requestContext, cancellationToken));
    }
}
