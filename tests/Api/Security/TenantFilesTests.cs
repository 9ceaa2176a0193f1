using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Contracts;
using Contracts.BatchInference;
using Microsoft.EntityFrameworkCore;
using Sagas.BatchInference;
using Sagas.WorkLedger;

namespace Api.Tests.Security;

/// <summary>Which files a tenant's requests can name, at every door that takes a name.</summary>
[Collection(nameof(TenantFilesHost))]
[Trait("Category", "Server")]
public sealed class TenantFilesTests(TenantFilesHost host)
{
    const string Jobs = "/api/v1/batch-inference/jobs";

    HttpClient Acme => host.As("acme", "operator");

    HttpClient Home => host.As("local", "operator");

    object InputOf(string tenant) => new { uri = ApiHost.Uri(host.InputsOf(tenant), "rows.parquet") };

    [Theory]
    [InlineData("acme")]
    [InlineData("local")]
    public async Task Results_go_below_the_tenants_own_folder(string tenant)
    {
        var spec = await SubmittedAsync(host.As(tenant, "operator"), new { model = "risk", input = InputOf(tenant) });

        spec.Output.Uri.ShouldBe(ApiHost.Uri(host.OutputsOf(tenant)));
        spec.ResultFolder(Guid.Empty).ShouldBe(ApiHost.Uri(host.OutputsOf(tenant), $"{Guid.Empty}"));
    }

    [Fact]
    public async Task Another_tenants_input_is_refused_as_if_it_were_not_there()
    {
        File.CreateSymbolicLink(Path.Combine(host.InputsOf("acme"), "link.parquet"), Path.Combine(host.InputsOf("bob"), "rows.parquet"));
        foreach (var uri in new[] { ApiHost.Uri(host.Inputs, "rows.parquet"), ApiHost.Uri(host.InputsOf("bob"), "rows.parquet"), ApiHost.Uri(host.InputsOf("bob"), "none.parquet") })
            await RefusedAsync(Acme, new { model = "risk", input = new { uri } }, "input.uri");
        foreach (var name in new[] { "link.parquet", "*.parquet", "../inputs-bob/rows.parquet", "%2e%2e/inputs-bob/rows.parquet" })
            (await RefusedAsync(Acme, new { model = "risk", input = new { uri = ApiHost.Uri(host.InputsOf("acme"), name) } }, "input.uri")).ShouldNotContain(
                name.Contains("bob") ? "local" : "bob");
        await RefusedAsync(Home, new { model = "risk", input = InputOf("acme") }, "input.uri");
        File.Delete(Path.Combine(host.InputsOf("acme"), "link.parquet"));
    }

    [Fact]
    public async Task The_samples_are_the_home_tenants()
    {
        using var response = await Acme.PostAsJsonAsync(Jobs, new { model = "risk-model" });

        (await response.Content.ReadAsStringAsync()).ShouldNotContain(host.Inputs + "/");
        (await response.ProblemAsync(400, "field_missing")).ShouldBe(new() { ["input.uri"] = "field_missing" });
    }

    [Fact]
    public async Task An_output_is_refused_outside_the_tenants_folder_which_is_named()
    {
        var own = ApiHost.Uri(host.OutputsOf("acme"));
        foreach (var uri in new[]
        {
            ApiHost.Uri(host.Outputs), ApiHost.Uri(host.OutputsOf("bob")), ApiHost.Uri(host.Outputs, "%40bob"), ApiHost.Uri(host.OutputsOf("local")), $"{own}/../@bob",
            $"{own}./x", ApiHost.Uri(host.Outputs, "@ACME"),
        })
        {
            var text = await RefusedAsync(Acme, new { model = "risk", input = InputOf("acme"), output = new { uri } }, "output.uri");
            if (!uri.Contains("/.."))
                text.ShouldContain(own);
            if (!uri.Contains("bob"))
                text.ShouldNotContain("bob");
        }

        (await SubmittedAsync(Acme, new { model = "risk", input = InputOf("acme"), output = new { uri = $"{own}/mine" } })).Output.Uri.ShouldBe($"{own}/mine");
        await SubmittedAsync(Acme, new { model = "risk", input = InputOf("acme"), output = new { uri = ApiHost.Uri(host.Outputs, "%40acme") } });
    }

    [Fact]
    public async Task The_home_tenant_writes_where_it_did_but_not_into_anothers_folder()
    {
        foreach (var folder in new[] { host.Outputs, Path.Combine(host.Outputs, "mine") })
            (await SubmittedAsync(Home, new { model = "risk", input = InputOf("local"), output = new { uri = ApiHost.Uri(folder) } })).Output.Uri.ShouldBe(ApiHost.Uri(folder));
        Directory.CreateDirectory(host.OutputsOf("acme"));
        Directory.CreateSymbolicLink(Path.Combine(host.Outputs, "to-acme"), host.OutputsOf("acme"));
        foreach (var name in new[] { "@acme", "%40acme/x", "to-acme" })
            await RefusedAsync(Home, new { model = "risk", input = InputOf("local"), output = new { uri = ApiHost.Uri(host.Outputs, name) } }, "output.uri");
    }

    [Fact]
    public async Task Older_clients_are_judged_the_same()
    {
        using var refused = await Acme.PostAsJsonAsync("/api/v1/batch/inference", new
        {
            dataSource = Path.Combine(host.Inputs, "rows.parquet"),
            modelName = "risk",
            outputDestination = Path.Combine(host.OutputsOf("acme"), "..", "@bob"),
        });
        (await refused.ProblemAsync(422, "path_outside_roots")).Keys.ShouldBe(["dataSource", "outputDestination"], ignoreOrder: true);

        using var accepted = await Acme.PostAsJsonAsync("/api/v1/batch/inference", new
        {
            dataSource = Path.Combine(host.InputsOf("acme"), "rows.parquet"),
            modelName = "risk",
            outputDestination = host.OutputsOf("acme"),
        });
        (await SpecAsync((await accepted.JsonAsync()).GetProperty("jobId").GetGuid())).Output.Uri.ShouldBe(ApiHost.Uri(host.OutputsOf("acme")));
    }

    [Fact]
    public async Task A_models_file_comes_from_the_tenants_folders_and_lies_in_its_own()
    {
        const string text = "good of two tenants";
        var version = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));
        File.WriteAllText(Path.Combine(host.Inputs, "m.onnx"), text);
        File.WriteAllText(Path.Combine(host.InputsOf("acme"), "m.onnx"), text);

        foreach (var (client, uri) in new[] { (Acme, ApiHost.Uri(host.Inputs, "m.onnx")), (Home, ApiHost.Uri(host.InputsOf("acme"), "m.onnx")) })
            using (var refused = await client.PostAsJsonAsync("/api/v1/models", new { name = "twice", uri }))
                (await refused.ProblemAsync(422, "path_outside_roots")).Keys.ShouldBe(["uri"]);
        foreach (var (tenant, client) in new[] { ("acme", Acme), ("local", Home) })
            using (var created = await client.PostAsJsonAsync("/api/v1/models", new { name = "twice", uri = ApiHost.Uri(host.InputsOf(tenant), "m.onnx") }))
                ((int)created.StatusCode).ShouldBe(201, await created.Content.ReadAsStringAsync());

        var uris = await host.WithDbAsync(db => db.Models.Where(m => m.Version == version).OrderBy(m => m.Tenant).Select(m => m.Uri).ToListAsync());
        uris.ShouldBe(new[] { "@acme", "@local" }.Select(folder => ApiHost.Uri(host.Models, folder, version[..2], $"{version}.onnx")));
        uris.ShouldAllBe(uri => File.ReadAllText(new Uri(uri).LocalPath) == text);
        Directory.GetFiles(Path.Combine(host.Models, "@acme", ".incoming")).ShouldBeEmpty();
        host.ModelUpdates.Where(u => u.Version == version).Select(u => u.Tenant).ShouldBeSubsetOf(["acme", "local"]);
    }

    [Fact]
    public async Task A_folder_of_models_that_leads_into_anothers_takes_nothing()
    {
        Directory.CreateDirectory(Path.Combine(host.Models, "@acme"));
        Directory.CreateSymbolicLink(Path.Combine(host.Models, "@bob"), Path.Combine(host.Models, "@acme"));
        var key = await host.CreateKeyAsync("bob", "operator");
        using var bob = host.With(key.Key);

        using var refused = await bob.PostAsync("/api/v1/models?name=stray", new ByteArrayContent("good"u8.ToArray()) { Headers = { ContentType = new("application/octet-stream") } });

        await refused.ProblemAsync(422, "path_outside_roots");
        Directory.Delete(Path.Combine(host.Models, "@bob"));
    }

    [Fact]
    public async Task A_manifest_is_read_by_its_tenant_alone_even_if_its_place_became_a_link()
    {
        var (acmes, bobs) = (Path.Combine(host.OutputsOf("acme"), "done"), Path.Combine(host.OutputsOf("bob"), "done"));
        var id = await CompletedAsync("acme", ApiHost.Uri(acmes, "_manifest.json"));
        foreach (var folder in new[] { acmes, bobs })
        {
            Directory.CreateDirectory(folder);
            await File.WriteAllTextAsync(Path.Combine(folder, "_manifest.json"), $$"""{"of":"{{folder}}","parts":[],"quarantine":[]}""");
        }

        (await (await Acme.GetAsync($"{Jobs}/{id}/results")).JsonAsync()).GetProperty("manifest").GetProperty("of").GetString().ShouldBe(acmes);
        await (await Home.GetAsync($"{Jobs}/{id}/results")).ProblemAsync(404, "job_not_found");
        (await MissingAsync()).ShouldNotContain($"{id}");

        Directory.Delete(acmes, recursive: true);
        Directory.CreateSymbolicLink(acmes, bobs);

        await (await Acme.GetAsync($"{Jobs}/{id}/results")).ProblemAsync(422, "path_outside_roots");
        (await MissingAsync()).ShouldContain($"{id}");
    }

    async Task<List<string>> MissingAsync()
    {
        var report = await (await Home.GetAsync("/api/v1/operations/invariants")).JsonAsync();
        return report.GetProperty("offenders").TryGetProperty("completedJobsWithoutManifest", out var ids) ? [.. ids.EnumerateArray().Select(i => i.GetString()!)] : [];
    }

    async Task<Guid> CompletedAsync(string tenant, string manifest)
    {
        var id = await host.AddJobAsync("Completed", "Completed", null, saga => (saga.ManifestUri, saga.ManifestSha256) = (manifest, "ab"));
        await host.ExecuteAsync($"UPDATE sagas.work_jobs SET tenant = '{tenant}' WHERE id = '{id}'; UPDATE sagas.batch_jobs SET tenant = '{tenant}' WHERE correlation_id = '{id}'");
        return id;
    }

    async Task<BatchJobSpec> SubmittedAsync(HttpClient client, object request)
    {
        using var response = await client.PostAsJsonAsync(Jobs, request);
        var body = await response.JsonAsync();
        ((int)response.StatusCode).ShouldBe(202, body.ToString());
        return await SpecAsync(body.GetProperty("id").GetGuid());
    }

    Task<BatchJobSpec> SpecAsync(Guid id) => host.WithDbAsync(async db => WireJson.Read<BatchJobSpec>((await db.WorkJobs.AsNoTracking().SingleAsync(j => j.Id == id)).Spec));

    /// <returns>All that the caller is told.</returns>
    static async Task<string> RefusedAsync(HttpClient client, object request, string field)
    {
        using var response = await client.PostAsJsonAsync(Jobs, request);
        (await response.ProblemAsync(422, "path_outside_roots")).ShouldBe(new() { [field] = "path_outside_roots" }, JsonSerializer.Serialize(request));
        return await response.Content.ReadAsStringAsync();
    }
}
