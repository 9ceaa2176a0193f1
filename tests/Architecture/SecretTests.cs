using System.Buffers.Text;
using System.Security.Cryptography;

namespace Architecture.Tests;

public sealed class SecretTests
{
    // The public examples of an RFC.
    static readonly string[] Public = ["tests/Api/Security/Tokens/RfcVectorTests.cs"];

    [Fact]
    public void No_file_of_the_repository_holds_a_secret() =>
        Repository.Files().Except(Public).Where(f => !f.EndsWith(".parquet", StringComparison.Ordinal) && !f.EndsWith(".onnx", StringComparison.Ordinal))
            .SelectMany(f => SecretRules.Findings(f, Repository.Text(f))).ShouldBeEmpty();

    [Fact]
    public void Each_kind_of_secret_is_found()
    {
        var random = Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(90));
        var capitals = "QWERTYUIOPASDFGHJKLZXCVBNM0123456789";
        string[] planted =
        [
            $"-----BEGIN PRIVATE KEY-----\n{Convert.ToBase64String(RandomNumberGenerator.GetBytes(90))}", $"eyJ{random[..20]}.eyJ{random[..40]}.{random[..60]}",
            $"sgs_{random[..22]}_{random[22..65]}", $"AKIA{capitals[..16]}", $"ghp_{capitals}", $"xoxb-{capitals}", $"AccountKey={Convert.ToBase64String(RandomNumberGenerator.GetBytes(64))}",
            $"https://a.blob/c?sig={Convert.ToHexString(RandomNumberGenerator.GetBytes(32))}", $"\"Password\": \"{random[..30]}\"", $"api_key = '{random[..30]}'",
        ];
        foreach (var text in planted)
            SecretRules.Findings("file", $"before\n{text}\nafter").ShouldNotBeEmpty(text);
    }

    [Theory]
    [InlineData("sgs_AAAAAAAAAAAAAAAAAAAAAA_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    [InlineData("Password=secret;Username=sagas")]
    [InlineData("string password = ReadPassword();")]
    public void What_is_none_is_not(string text) => SecretRules.Findings("file", text).ShouldBeEmpty();
}
