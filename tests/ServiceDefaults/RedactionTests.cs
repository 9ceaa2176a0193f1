using System.Buffers.Text;
using System.Security.Cryptography;
using Contracts;

namespace ServiceDefaults.Tests;

/// <summary>Secrets are put together here, so that none stands in a file.</summary>
public sealed class RedactionTests
{
    static readonly string Secret = Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(32));
    static readonly string Id = Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(16));
    static readonly string Pem = Convert.ToBase64String(RandomNumberGenerator.GetBytes(60));
    static readonly string Jwt = $"eyJ{Secret}.{Secret}.{Secret}";

    // Not a theory's data: its names, with the secrets in them, would be in the log of the test run.
    static readonly (string Text, string Masked)[] Cases =
    [
        ($"Key sgs_{Id}_{Secret} came", $"Key sgs_{Id}*** came"),
        ($"sgs_{Id}_{Secret[..10]}", $"sgs_{Id}***"),
        ($"Bearer {Jwt}", "Bearer ***"),
        ($"token {Jwt}.", "token ***"),
        ($"authorization: bearer {Secret}", "authorization: bearer ***"),
        ($"Basic {Convert.ToBase64String(RandomNumberGenerator.GetBytes(32))} x", "Basic *** x"),
        ($"Host=db;Password={Secret};Database=x", "Host=db;Password=***;Database=x"),
        ($"Pwd = \"{Secret} with blanks\"; x", "Pwd = ***; x"),
        ($"{{\"password\":\"{Secret}\",\"x\":1}}", "{\"password\":***,\"x\":1}"),
        ($"AccountName=a;AccountKey={Secret}==;EndpointSuffix=core", "AccountName=a;AccountKey=***;EndpointSuffix=core"),
        ($"SharedAccessKey={Secret}", "SharedAccessKey=***"),
        ($"https://a.blob/c?sv=1&sig={Secret}&se=2", "https://a.blob/c?sv=1&sig=***&se=2"),
        ($"https://a.blob/c?sv=1\\u0026sig={Secret}", "https://a.blob/c?sv=1\\u0026sig=***"),
        ($"/x?access_token={Secret}", "/x?access_token=***"),
        ($"amqps://user:{Secret}@broker:5671/", "amqps://user:***@broker:5671/"),
        ($"before -----BEGIN RSA PRIVATE KEY-----\n{Pem}\n-----END RSA PRIVATE KEY----- after", "before *** after"),
        ($"-----BEGIN PRIVATE KEY-----\n{Pem}", "***"),
    ];

    [Fact]
    public void What_looks_like_a_secret_is_masked_and_the_rest_stays()
    {
        foreach (var (text, masked) in Cases)
        {
            Redaction.Text(text).ShouldBe(masked);
            Redaction.Text(Redaction.Text(text)).ShouldBe(masked);
        }
    }

    [Theory]
    [InlineData("Postgres:PasswordFile names /run/secrets/pg, which is not there")]
    [InlineData("file:///data/@acme/part-00001.parquet")]
    [InlineData("Show a key in the header X-Api-Key, or a bearer token.")]
    [InlineData("ConnectionStrings:Sagas has a password and Postgres:PasswordFile is set: choose one")]
    [InlineData("http://127.0.0.1:8080/api/v1/models?limit=5&code_of=1")]
    [InlineData("keyColumns: id, name; mail ada@example.com")]
    [InlineData("The signature [N, F] has 30 columns: the secret is in the data")]
    public void What_is_none_stays_the_same_text(string text) => Redaction.Text(text).ShouldBeSameAs(text);

    [Fact]
    public void A_text_without_a_sign_costs_no_memory()
    {
        const string Text = "Scored 30,000 rows of credit.parquet in 1.2 s";
        Redaction.Text(Text);
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 1000; i++)
            Redaction.Text(Text);
        (GC.GetAllocatedBytesForCurrentThread() - before).ShouldBe(0);
    }

    [Fact]
    public void A_million_signs_come_to_an_end()
    {
        // A form that tried every division of them would not.
        foreach (var sign in new[] { "sgs_", "eyJ.", "eyJ", "bearer aaaaaaaaaaaaaaaaaaaaaaa", "aaaa://", "?sig=", "secret:", "password=", "password=\"", "https://a:", "-----BEGIN PRIVATE KEY-----", "bearer " })
        {
            var text = string.Concat(Enumerable.Repeat(sign, 1_000_000 / sign.Length));
            Redaction.Text(text).Length.ShouldBeLessThanOrEqualTo(text.Length);
        }
    }

    [Fact]
    public void A_failure_repeats_no_secret()
    {
        var failure = new Failure("input_missing", $"https://u:{Secret}@h/x does not exist", [new FieldFailure($"sgs_{Id}_{Secret}", "unknown_field", $"password={Secret}")]);
        WireJson.Write(failure).ShouldNotContain(Secret);
        (failure with { Code = "other" }).Message.ShouldBe("https://u:***@h/x does not exist");
    }
}
