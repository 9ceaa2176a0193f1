using Contracts;

namespace Artifacts.Tests.Blobs;

public sealed class RemoteUriTests
{
    static Failure Refused(string uri) => Should.Throw<FailureException>(() => RemoteUri.Parse(uri, "input.uri")).Failure;

    [Theory]
    [InlineData("az://data/in/rows.parquet", "az", "data", "in rows.parquet", false)]
    [InlineData("HTTPS://Acme.Blob.Core.Windows.Net:443/data/a%20b/", "https", "acme.blob.core.windows.net", "data a%20b", true)]
    [InlineData("http://127.0.0.1:10000/devstoreaccount1/data", "http", "127.0.0.1:10000", "devstoreaccount1 data", false)]
    [InlineData("az://data", "az", "data", "", true)]
    [InlineData("http://[::1]:80/x", "http", "[::1]", "x", false)]
    public void Is_taken_apart(string uri, string scheme, string authority, string segments, bool isFolder)
    {
        var parsed = RemoteUri.Parse(uri, "input.uri");
        (parsed.Scheme, parsed.Authority, string.Join(' ', parsed.Segments), parsed.IsFolder).ShouldBe((scheme, authority, segments, isFolder));
    }

    [Theory]
    [InlineData("https://a.blob.core.windows.net/data/x.parquet?sv=2023&sig=hunter2", "uri_query_not_allowed")]
    [InlineData("az://data/x.parquet?hunter2", "uri_query_not_allowed")]
    [InlineData("https://me:hunter2@a.blob.core.windows.net/data/x", "uri_credentials_not_allowed")]
    [InlineData("https://hunter2@a.blob.core.windows.net?x", "uri_credentials_not_allowed")]
    [InlineData("https://a.blob.core.windows.net\\@evil/hunter2", "uri_credentials_not_allowed")]
    [InlineData("https://a b/hunter2", "uri_invalid")]
    [InlineData("https:///hunter2", "uri_invalid")]
    [InlineData("https://a.example/hunter2#x", "uri_invalid")]
    [InlineData("https://a.example//hunter2", "uri_invalid")]
    [InlineData("https://a.example/x//", "uri_invalid")]
    public void What_is_wrong_is_named_and_not_repeated(string uri, string code)
    {
        var failure = Refused(uri);
        failure.Code.ShouldBe(code);
        failure.Fields.ShouldHaveSingleItem().Field.ShouldBe("input.uri");
        failure.ToString().ShouldNotContain("hunter2");
    }

    [Theory]
    [InlineData("file:///x", false)]
    [InlineData("s3://x/y", false)]
    [InlineData("/x", false)]
    [InlineData("AZ://x", true)]
    [InlineData("http://x", true)]
    public void Others_are_not_its_own(string uri, bool expected) => RemoteUri.Is(uri).ShouldBe(expected);
}
