using System.Text.Json;
using Api.BatchInference;
using Contracts;
using Contracts.BatchInference;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace Api.Tests.Security;

/// <summary>Requests from senders who are trusted to say whose they are.</summary>
[Collection(nameof(TenantFilesHost))]
[Trait("Category", "Server")]
public sealed class TrustedIntakeTests(TenantFilesHost host)
{
    readonly InputQueue _trusted = new(host, TenantFilesHost.TrustedQueue);
    readonly InputQueue _plain = new(host, BatchQueues.Input);

    [Fact]
    public async Task The_job_is_the_named_tenants_in_everything()
    {
        var name = NewName();
        var id = IncomingJob.IdOf("acme", name);

        await _trusted.SendAsync(Body(name, "acme", model: "acmes-own"));

        var job = await _trusted.StartedAsync(id);
        (job.Tenant, job.Reference).ShouldBe(("acme", name));
        WireJson.Read<BatchJobSpec>(job.Spec).Output.Uri.ShouldBe(ApiHost.Uri(host.OutputsOf("acme")));
        var started = await _trusted.OutputAsync(id);
        (started.Type, started.Tenant, started.Reference).ShouldBe((BatchEventTypes.Started, "acme", name));
        ((int)(await host.As("acme", "viewer").GetAsync(started.Links!.Self)).StatusCode).ShouldBe(200);
        await (await host.As("local", "viewer").GetAsync(started.Links.Self)).ProblemAsync(404, "job_not_found");
    }

    [Fact]
    public async Task A_name_is_one_job_of_each_tenant_whichever_way_it_comes()
    {
        var name = NewName();

        await _trusted.SendAsync(Body(name, "acme"));
        await _trusted.SendAsync(Body(name, "acme"));
        await _trusted.SendAsync(Body(name, "local"));
        await _plain.SendAsync(Body(name, null));
        await _plain.SendAsync(Body(name, "local").Replace("\"tenant\":\"local\",", "", StringComparison.Ordinal));
        await _trusted.SendAsync(Body(name, "acme", batchSize: 78));

        await _trusted.StartedAsync(IncomingJob.IdOf("acme", name));
        await _trusted.StartedAsync(IncomingJob.IdOf("local", name));
        (await _trusted.LetterAsync(name)).Error.ShouldStartWith("job_id_reused: ");
        await AfterwardsAsync();
        (await host.CountAsync($"SELECT count(*) FROM sagas.work_jobs WHERE reference = '{name}'")).ShouldBe(2);
        (await _plain.LettersAsync(name)).ShouldBeEmpty();
        (await _trusted.LettersAsync(name)).Count.ShouldBe(1);
    }

    [Fact]
    public async Task MassTransits_envelope_says_it_inside_and_nowhere_else()
    {
        var (inside, outside) = (NewName(), NewName());
        const string envelope = """{ "messageId": "0b1f8f5c-9d0e-4b1e-8d52-3f1c9b3f7a10", "messageType": ["urn:message:Theirs:ScoreTable"], "headers": { "tenant": "acme" }, """;

        await _trusted.SendAsync($$"""{{envelope}} "message": {{Body(inside, "acme")}} }""");
        await _trusted.SendAsync($$"""{{envelope}} "tenant": "acme", "message": {{Body(outside, null)}} }""");

        await _trusted.StartedAsync(IncomingJob.IdOf("acme", inside));
        (await _trusted.LetterAsync(outside)).Error.ShouldContain("tenant: field_missing: ");
    }

    [Theory]
    [InlineData(null, "field_missing")]
    [InlineData("null", "field_missing")]
    [InlineData("\"\"", "name_invalid")]
    [InlineData("\"Acme\"", "name_invalid")]
    [InlineData("\"acme \"", "name_invalid")]
    [InlineData("\"acme\\n\"", "name_invalid")]
    [InlineData("\"@acme\"", "name_invalid")]
    [InlineData("\"../acme\"", "name_invalid")]
    [InlineData("\"\\u0430cme\"", "name_invalid")]
    [InlineData("\"ac\\u0000me\"", "invalid_text")]
    [InlineData("7", "wrong_type")]
    [InlineData("[\"acme\"]", "wrong_type")]
    [InlineData("\"acme\", \"tenant\": \"bob\"", "duplicate_field")]
    public async Task Who_does_not_say_whose_job_it_is_is_refused_and_nobody_is_told(string? tenant, string code)
    {
        var name = NewName();
        var said = tenant is null ? "" : $"\"tenant\": {tenant}, ";

        await _trusted.SendAsync($"{{ {said}\"nonsense\": 1, {Body(name, null)[1..]}");

        var letter = await _trusted.LetterAsync(name);
        (letter.Queue, letter.Reason).ShouldBe((TenantFilesHost.TrustedQueue, "refused"));
        letter.Error.ShouldContain($"tenant: {code}: ");
        letter.Error.ShouldContain("nonsense: unknown_field: ");
        await AfterwardsAsync();
        foreach (var nobody in new[] { "local", "acme", "bob" })
            host.EventsOf(IncomingJob.IdOf(nobody, name)).ShouldBeEmpty();
        (await host.CountAsync($"SELECT count(*) FROM sagas.work_jobs WHERE reference = '{name}'")).ShouldBe(0);
    }

    [Fact]
    public async Task Files_and_models_are_judged_by_the_named_tenants_own()
    {
        var (foreign, unknown) = (NewName(), NewName());

        await _trusted.SendAsync(Body(foreign, "acme", inputOf: "local"));
        await _trusted.SendAsync(Body(unknown, "local", model: "acmes-own"));

        (await _trusted.LetterAsync(foreign)).Error.ShouldContain("input.uri: path_outside_roots: ");
        (await _trusted.LetterAsync(unknown)).Error.ShouldContain("model: model_unknown: ");
        var rejected = await _trusted.OutputAsync(IncomingJob.IdOf("acme", foreign));
        (rejected.Type, rejected.Tenant, rejected.Queue).ShouldBe((BatchEventTypes.Rejected, "acme", TenantFilesHost.TrustedQueue));
        (await _trusted.OutputAsync(IncomingJob.IdOf("local", unknown))).Tenant.ShouldBe("local");
    }

    [Fact]
    public async Task The_id_of_another_tenants_job_is_not_to_be_had()
    {
        var id = Guid.CreateVersion7();
        await _plain.SendAsync(Body($"{id}", null));
        await _plain.StartedAsync(id);

        await _trusted.SendAsync(Body($"{id}", "acme"));

        (await _trusted.LetterAsync($"{id}")).Error.ShouldStartWith("job_id_reused: ");
        (await _plain.StartedAsync(id)).Tenant.ShouldBe("local");
    }

    [Fact]
    public async Task Garbage_is_refused_under_the_name_of_its_queue_and_blocks_nobody()
    {
        var (mark, id, after) = (NewName(), Guid.CreateVersion7(), NewName());

        await _trusted.SendAsync($"<xml>{mark}</xml>", messageId: id);
        await _trusted.SendAsync(Body(after, "acme"));

        await _trusted.StartedAsync(IncomingJob.IdOf("acme", after));
        (await _trusted.LetterAsync(mark)).Error.ShouldStartWith("malformed_json: ");
        (await _plain.LettersAsync(mark)).ShouldBeEmpty();
        await AfterwardsAsync();
        host.EventsOf(id).ShouldBeEmpty();
    }

    static string NewName() => $"order-{Guid.CreateVersion7():N}";

    string Body(string jobId, string? tenant, string model = "risk", int batchSize = 77, string? inputOf = null) => JsonSerializer.Serialize(
        new Dictionary<string, object?>
        {
            ["tenant"] = tenant,
            ["jobId"] = jobId,
            ["model"] = model,
            ["batchSize"] = batchSize,
            ["input"] = new { uri = ApiHost.Uri(host.InputsOf(inputOf ?? tenant ?? "local"), "rows.parquet") },
        }.Where(field => field.Value is not null).ToDictionary());

    // Each queue is read in order, four at a time.
    async Task AfterwardsAsync()
    {
        var names = Enumerable.Range(0, 8).Select(_ => NewName()).ToList();
        foreach (var name in names)
        {
            await _trusted.SendAsync(Body(name, "acme"));
            await _plain.SendAsync(Body(name, null));
        }

        foreach (var name in names)
            foreach (var tenant in new[] { "acme", "local" })
                await _trusted.StartedAsync(IncomingJob.IdOf(tenant, name));
    }
}

public sealed class TrustedInputSettingTests
{
    [Theory]
    [InlineData("batch-inference-input")]
    [InlineData("batch-inference-output")]
    [InlineData("batch-inference-units")]
    [InlineData("batch-plan")]
    [InlineData("work-stop")]
    [InlineData("model-updates")]
    [InlineData("dead-letters")]
    [InlineData("amq.fanout")]
    [InlineData("two words")]
    [InlineData("Contracts:X")]
    public void A_name_that_is_taken_or_no_name_stops_the_start(string name) =>
        Should.Throw<OptionsValidationException>(() => Read(("Api:BatchInference:TrustedInput", name))).Message.ShouldContain("Api:BatchInference:TrustedInput");

    [Theory]
    [InlineData("")]
    [InlineData("batch-inference-input-trusted")]
    [InlineData("trusted.orders")]
    public void Other_names_are_taken(string name) => Read(("Api:BatchInference:TrustedInput", name)).TrustedInput.ShouldBe(name);

    [Theory]
    [InlineData("file:///out", true)]
    [InlineData("file:///out/results", false)]
    [InlineData("file:///elsewhere", false)]
    [InlineData("nonsense", false)]
    public void Where_there_are_more_tenants_results_go_to_an_output_root(string output, bool isAllowed)
    {
        (string, string)[] settings = [("Artifacts:OutputRoots:0", "/out"), ("Api:BatchInference:Output", output)];
        Read(settings).Output.ShouldBe(output);
        settings = [.. settings, ("Artifacts:Tenants:acme:InputRoots:0", "/acme")];
        if (isAllowed)
            Read(settings).Output.ShouldBe(output);
        else
            Should.Throw<OptionsValidationException>(() => Read(settings)).Message.ShouldContain("Api:BatchInference:Output must be one of Artifacts:OutputRoots");
    }

    static BatchInferenceApiOptions Read(params (string Key, string Value)[] settings)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Configuration.AddInMemoryCollection(settings.ToDictionary(s => s.Key, s => (string?)s.Value));
        builder.AddApi();
        using var provider = builder.Services.BuildServiceProvider();
        return provider.GetRequiredService<IOptions<BatchInferenceApiOptions>>().Value;
    }
}
