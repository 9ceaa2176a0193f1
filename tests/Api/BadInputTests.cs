using System.Text;

namespace Api.Tests;

/// <summary>Each is refused with its code and field, and leaves no row, message or file behind.</summary>
[Collection(nameof(ApiHost))]
[Trait("Category", "Server")]
public sealed class BadInputTests(ApiHost host)
{
    [Fact]
    public Task Unknown_model() => RefusedAsync(new { model = "nobody", input = Input("rows.parquet") }, 422, "model_unknown", ("model", "model_unknown"));

    [Fact]
    public async Task Unknown_version()
    {
        await RefusedAsync(new { model = "risk@abc", input = Input("rows.parquet") }, 422, "model_version_unknown", ("model", "model_version_unknown"));
        await RefusedAsync(new { model = "risk", modelVersion = new string('c', 64), input = Input("rows.parquet") }, 422, "model_version_unknown", ("modelVersion", "model_version_unknown"));
    }

    [Fact]
    public Task Missing_file() => RefusedAsync("missing.csv", "input_missing");

    [Fact]
    public Task Glob_without_a_match() => RefusedAsync("none-*.csv", "input_missing");

    [Fact]
    public Task Empty_file()
    {
        host.Write("empty.csv", "");
        return RefusedAsync("empty.csv", "input_empty");
    }

    [Fact]
    public Task Empty_folder()
    {
        Directory.CreateDirectory(Path.Combine(host.Inputs, "empty-folder"));
        return RefusedAsync(new { model = "risk", input = new { uri = Uri("empty-folder"), format = "csv" } }, 422, "input_empty", ("input.uri", "input_empty"));
    }

    [Fact]
    public Task Parquet_without_rows()
    {
        host.WriteParquet("no-rows.parquet", "SELECT 1.0 AS age, 1.0 AS income WHERE false");
        return RefusedAsync("no-rows.parquet", "input_empty");
    }

    [Fact]
    public Task Truncated_Parquet()
    {
        var whole = File.ReadAllBytes(Path.Combine(host.Inputs, "rows.parquet"));
        File.WriteAllBytes(Path.Combine(host.Inputs, "truncated.parquet"), whole[..^100]);
        return RefusedAsync("truncated.parquet", "input_malformed");
    }

    [Fact]
    public Task Text_that_calls_itself_Parquet()
    {
        host.Write("text.parquet", "age,income\n1,2\n");
        return RefusedAsync("text.parquet", "input_malformed");
    }

    [Fact]
    public Task Ragged_CSV()
    {
        host.Write("ragged.csv", "age,income\n1,2\n3\n4,5,6\n");
        return RefusedAsync("ragged.csv", "input_malformed");
    }

    [Fact]
    public Task CSV_in_another_encoding()
    {
        File.WriteAllBytes(Path.Combine(host.Inputs, "latin1.csv"), Encoding.Latin1.GetBytes("age,income,name\n1,2,Müller\n"));
        return RefusedAsync("latin1.csv", "input_malformed");
    }

    [Fact]
    public Task CSV_with_an_open_quote()
    {
        host.Write("quote.csv", "age,income\n1,\"2\n3,4\n");
        return RefusedAsync("quote.csv", "input_malformed");
    }

    [Fact]
    public Task A_device() => RefusedAsync(new { model = "risk", input = new { uri = "file:///dev/zero", format = "csv" } }, 422, "path_outside_roots", ("input.uri", "path_outside_roots"));

    [Fact]
    public async Task Path_outside_the_roots()
    {
        File.WriteAllText(Path.Combine(host.Outside, "secret.csv"), "age,income\n1,2\n");
        await RefusedAsync(new { model = "risk", input = new { uri = ApiHost.Uri(host.Outside, "secret.csv") } }, 422, "path_outside_roots", ("input.uri", "path_outside_roots"));
        await RefusedAsync("../outside/secret.csv", "path_outside_roots");
        await RefusedAsync("%2e%2e/outside/secret.csv", "path_outside_roots");
        await RefusedAsync(
            new { model = "risk", input = Input("rows.parquet"), output = new { uri = ApiHost.Uri(host.Outside) } }, 422, "path_outside_roots", ("output.uri", "path_outside_roots"));
    }

    [Fact]
    public async Task Link_that_leads_out()
    {
        File.WriteAllText(Path.Combine(host.Outside, "linked.csv"), "age,income\n1,2\n");
        File.CreateSymbolicLink(Path.Combine(host.Inputs, "link.csv"), Path.Combine(host.Outside, "linked.csv"));
        Directory.CreateSymbolicLink(Path.Combine(host.Outputs, "link-out"), host.Outside);
        await RefusedAsync("link.csv", "path_outside_roots");
        await RefusedAsync(
            new { model = "risk", input = Input("rows.parquet"), output = new { uri = ApiHost.Uri(host.Outputs, "link-out") } }, 422, "path_outside_roots", ("output.uri", "path_outside_roots"));
    }

    [Theory]
    [InlineData("s3://bucket/rows.csv")]
    [InlineData("http://127.0.0.1/rows.csv")]
    [InlineData("file://elsewhere/rows.csv")]
    [InlineData("/plain/path.csv")]
    public Task Scheme_that_is_not_allowed(string uri) =>
        RefusedAsync(new { model = "risk", input = new { uri } }, 422, "uri_scheme_not_allowed", ("input.uri", "uri_scheme_not_allowed"));

    [Fact]
    public async Task Format_that_nobody_knows()
    {
        host.Write("rows.xyz", "age,income\n1,2\n");
        await RefusedAsync(new { model = "risk", input = Input("rows.xyz") }, 422, "format_unknown", ("input.format", "format_unknown"));
        await RefusedAsync(
            new { model = "risk", input = Input("rows.parquet"), output = new { format = "xlsx" } }, 422, "format_unknown", ("output.format", "format_unknown"));
    }

    [Fact]
    public Task Missing_columns_are_all_named()
    {
        host.Write("columns.csv", "id,Age2\n1,2\n");
        return RefusedAsync(
            new { model = "risk", input = Input("columns.csv"), keyColumns = new[] { "nobody" } }, 422, "unprocessable_request",
            ("columns.age", "column_missing"), ("columns.income", "column_missing"), ("columns.nobody", "key_column_missing"));
    }

    [Fact]
    public Task Mistyped_columns_are_all_named()
    {
        host.WriteParquet("types.parquet", "SELECT DATE '2024-01-01' AS age, [1, 2] AS income");
        return RefusedAsync("types.parquet", "column_type_mismatch", "columns.age", "columns.income");
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    [InlineData(int.MaxValue)]
    public Task Batch_size_that_makes_no_sense(int batchSize) =>
        RefusedAsync(new { model = "risk", input = Input("rows.parquet"), batchSize }, 400, "out_of_range", ("batchSize", "out_of_range"));

    [Fact]
    public Task Everything_at_once() => RefusedAsync(
        new
        {
            model = "nobody",
            input = new { uri = "s3://bucket/x.csv" },
            output = new { uri = "file:///etc", format = "xlsx" },
            batchSize = 0,
            maxErrors = -1,
            maxErrorRate = 1.5,
            deadlineSeconds = 0,
            priority = 1000,
            keyColumns = new[] { "a", "a", "" },
        },
        400, "invalid_request",
        ("model", "model_unknown"), ("input.uri", "uri_scheme_not_allowed"), ("output.uri", "path_outside_roots"), ("batchSize", "out_of_range"),
        ("maxErrors", "out_of_range"), ("maxErrorRate", "out_of_range"), ("deadlineSeconds", "out_of_range"), ("priority", "out_of_range"),
        ("keyColumns[1]", "column_repeated"), ("keyColumns[2]", "invalid_text"), ("output.format", "format_unknown"));

    [Fact]
    public async Task Unreadable_file()
    {
        var path = host.Write("unreadable.csv", "age,income\n1,2\n");
        File.SetUnixFileMode(path, UnixFileMode.None);
        // root reads everything: then the request is right.
        if (Environment.UserName == "root")
            File.Delete(path);
        await RefusedAsync("unreadable.csv", Environment.UserName == "root" ? "input_missing" : "input_unreadable");
    }

    string Uri(string name) => $"{ApiHost.Uri(host.Inputs)}/{name}";

    object Input(string name) => new { uri = Uri(name) };

    Task RefusedAsync(string file, string code, params string[] fields) =>
        RefusedAsync(new { model = "risk", input = Input(file) }, 422, code, [.. (fields.Length == 0 ? ["input.uri"] : fields).Select(f => (f, code))]);

    async Task RefusedAsync(object body, int status, string code, params (string Field, string Code)[] errors)
    {
        var before = await host.LeftoversAsync();

        var found = await (await host.SubmitAsync(body, key: $"bad-{Guid.CreateVersion7()}")).ProblemAsync(status, code);

        found.ShouldBe(errors.ToDictionary(e => e.Field, e => e.Code), ignoreOrder: true);
        (await host.LeftoversAsync()).ShouldBe(before);
    }
}
