using System.Net.Http.Json;
using Contracts;
using MassTransit;
using Microsoft.Extensions.DependencyInjection;
using Sagas.Models;

namespace Api.Tests;

/// <summary>What a worker hears when it asks which versions are meant.</summary>
[Trait("Category", "Server"), Collection(nameof(ApiHost))]
public sealed class FindModelsTests(ApiHost host)
{
    const string Newer = "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc";

    [Fact]
    public async Task Each_name_is_answered_in_its_place_and_what_there_is_not_by_nothing()
    {
        await AddAsync("local", "sought", ApiHost.Version, DateTimeOffset.UnixEpoch);
        await AddAsync("local", "sought", Newer, DateTimeOffset.UnixEpoch.AddDays(1));
        await AddAsync("acme", "theirs", Newer, DateTimeOffset.UnixEpoch);
        using var moved = await host.Client.PutAsJsonAsync("/api/v1/models/sought/aliases/champion", new { version = ApiHost.Version, reason = "It won." });
        moved.IsSuccessStatusCode.ShouldBeTrue(await moved.Content.ReadAsStringAsync());

        var found = await AskAsync("sought", "sought@champion", "theirs", "acme/theirs", $"sought@{ApiHost.Version}", "acme/sought", "sought@challenger", "sought@latest", "nobody/sought");

        found.Select(model => model?.Sha256).ShouldBe([Newer, ApiHost.Version, null, Newer, ApiHost.Version, null, null, Newer, null]);
        found[0]!.ShouldBe(new ModelRef("sought", Newer, ApiHost.Uri(host.Models, $"{Newer}.onnx"), MemoryBytes: 7));
    }

    [Fact]
    public async Task A_question_that_makes_no_sense_has_no_answer()
    {
        await Should.ThrowAsync<RequestTimeoutException>(() => AskAsync(new FindModels(null!)));
        await Should.ThrowAsync<RequestTimeoutException>(() => AskAsync(new FindModels([.. Enumerable.Repeat(new TenantModel(null, "sought", null), FindModels.Most + 1)])));
        await Should.ThrowAsync<RequestTimeoutException>(() => AskAsync(new FindModels([new TenantModel(null, null!, null)])));
    }

    Task<int> AddAsync(string tenant, string name, string version, DateTimeOffset at) => host.WithDbAsync(db =>
    {
        db.Add(new RegisteredModel
        {
            Tenant = tenant,
            Name = name,
            Version = version,
            Uri = ApiHost.Uri(host.Models, $"{version}.onnx"),
            Signature = WireJson.Write(ApiHost.TwoFeatures),
            PeakBatchBytes = 7,
            RegisteredAt = at,
        });
        return db.SaveChangesAsync();
    });

    Task<IReadOnlyList<ModelRef?>> AskAsync(params string[] names) => AskAsync(new FindModels([.. names.Select(name => TenantModel.TryParse(name)!)]), seconds: 30);

    async Task<IReadOnlyList<ModelRef?>> AskAsync(FindModels question, int seconds = 1)
    {
        var client = host.Services.GetRequiredService<IBus>().CreateRequestClient<FindModels>(RequestTimeout.After(s: seconds));
        return (await client.GetResponse<ModelsFound>(question)).Message.Models;
    }
}
