using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Contracts;
using Contracts.BatchInference;
using Microsoft.EntityFrameworkCore;
using Npgsql;
using Support;

namespace Api.Tests;

[Collection(nameof(ApiHost))]
[Trait("Category", "Server")]
public sealed class AliasesTests(ApiHost host)
{
    static readonly string First = new('1', 64), Second = new('2', 64), Third = new('3', 64);

    [Fact]
    public async Task An_alias_names_one_version_and_its_history_says_who_moved_it()
    {
        await ModelAsync("moved");

        var made = await MoveAsync("moved", "champion", new { version = First, reason = "The first." });
        made.StatusCode.ShouldBe(HttpStatusCode.OK, await made.Content.ReadAsStringAsync());
        (await MoveAsync("moved", "challenger", new { version = "latest" })).StatusCode.ShouldBe(HttpStatusCode.OK);
        (await MoveAsync("moved", "champion", new { version = "challenger", expected = First, reason = "Better." })).StatusCode.ShouldBe(HttpStatusCode.OK);

        var list = await JsonAsync("moved/aliases");
        list.GetProperty("latest").GetString().ShouldBe(Third);
        list.GetProperty("aliases").EnumerateArray().Select(a => $"{a.GetProperty("alias")} {a.GetProperty("version")}").ShouldBe([$"challenger {Third}", $"champion {Third}"]);
        (await JsonAsync("moved")).GetProperty("aliases").GetProperty("champion").GetString().ShouldBe(Third);
        (await JsonAsync("moved/versions/champion")).GetProperty("version").GetString().ShouldBe(Third);
        var history = (await JsonAsync("moved/aliases/champion/history")).GetProperty("moves").EnumerateArray().ToList();
        history.Select(m => (m.GetProperty("seq").GetInt64(), From(m), m.GetProperty("to").GetString(), m.GetProperty("actor").GetString(), m.GetProperty("reason").GetString()))
            .ShouldBe([(2, First, Third, "local", "Better."), (1, null, First, "local", "The first.")]);
        (await JsonAsync("moved/aliases/champion/history?limit=1&before=2")).GetProperty("moves")[0].GetProperty("seq").GetInt64().ShouldBe(1);
        (await host.WithDbAsync(db => db.AuditEntries.Where(e => e.Action == "model.alias.move" && e.Subject.StartsWith("moved@champion")).Select(e => e.Subject + " " + e.Reason).ToListAsync()))
            .ShouldBe([$"moved@champion={First} The first.", $"moved@champion={Third} Better."], ignoreOrder: true);
    }

    [Fact]
    public async Task Integrating_systems_hear_of_each_move_once()
    {
        await ModelAsync("heard");
        await MoveAsync("heard", "champion", new { version = First });
        await MoveAsync("heard", "champion", new { version = First });
        await MoveAsync("heard", "champion", new { version = Second });
        (await RemoveAsync("heard", "champion", new { })).StatusCode.ShouldBe(HttpStatusCode.NoContent);

        await Eventually.TrueAsync(() => Heard("heard").Count >= 3, "three updates");
        Heard("heard").ShouldBe(
            [(ModelUpdate.AliasMoved, First, null), (ModelUpdate.AliasMoved, Second, First), (ModelUpdate.AliasRemoved, Second, Second)], ignoreOrder: true);
        host.ModelUpdates.First(u => u.Model == "heard").Link.ShouldBe("/api/v1/models/heard/aliases/champion");
    }

    [Fact]
    public async Task A_removed_alias_is_gone_and_its_history_stays()
    {
        await ModelAsync("removed");
        await MoveAsync("removed", "champion", new { version = First });
        await (await RemoveAsync("removed", "champion", new { expected = Second })).ProblemAsync(409, "alias_moved");
        (await RemoveAsync("removed", "champion", new { expected = First })).StatusCode.ShouldBe(HttpStatusCode.NoContent);

        await (await RemoveAsync("removed", "champion", new { })).ProblemAsync(404, "alias_not_found");
        await (await host.Client.GetAsync("/api/v1/models/removed/aliases/champion")).ProblemAsync(404, "alias_not_found");
        await (await host.Client.GetAsync("/api/v1/models/removed/versions/champion")).ProblemAsync(404, "model_not_found");
        var moves = (await JsonAsync("removed/aliases/champion/history")).GetProperty("moves").EnumerateArray().ToList();
        moves.Count.ShouldBe(2);
        moves[0].TryGetProperty("to", out _).ShouldBeFalse();
    }

    [Fact]
    public async Task Of_many_who_expect_the_same_one_moves_it()
    {
        await ModelAsync("raced");
        await MoveAsync("raced", "champion", new { version = First });

        var answers = await Task.WhenAll(Enumerable.Range(0, 12).Select(i => MoveAsync("raced", "champion", new { version = i % 2 == 0 ? Second : Third, expected = First })));

        var winner = (await JsonAsync("raced/aliases/champion")).GetProperty("version").GetString();
        // Those who asked for the winner's version find it done; the others are told.
        foreach (var (answer, i) in answers.Select((answer, i) => (answer, i)))
        {
            if ((i % 2 == 0 ? Second : Third) == winner)
                answer.StatusCode.ShouldBe(HttpStatusCode.OK);
            else
                (await answer.ProblemAsync(409, "alias_moved")).Keys.ShouldBe(["expected"]);
        }

        (await host.WithDbAsync(db => db.ModelAliasMoves.CountAsync(m => m.Model == "raced"))).ShouldBe(2);
    }

    [Fact]
    public async Task Of_many_who_make_it_one_does()
    {
        await ModelAsync("made");

        var answers = await Task.WhenAll(Enumerable.Range(0, 8).Select(i => MoveAsync("made", "champion", new { version = i % 2 == 0 ? Second : Third, expected = "none" })));

        answers.ShouldContain(a => a.StatusCode == HttpStatusCode.OK);
        answers.ShouldAllBe(a => a.StatusCode == HttpStatusCode.OK || a.StatusCode == HttpStatusCode.Conflict);
        (await host.WithDbAsync(db => db.ModelAliasMoves.CountAsync(m => m.Model == "made"))).ShouldBe(1);
    }

    [Fact]
    public async Task Moves_without_expectation_form_one_chain()
    {
        await ModelAsync("chained");

        var answers = await Task.WhenAll(Enumerable.Range(0, 20).Select(i => MoveAsync("chained", "champion", new { version = new[] { First, Second, Third }[i % 3] })));

        answers.ShouldAllBe(a => a.StatusCode == HttpStatusCode.OK);
        var moves = await host.WithDbAsync(db => db.ModelAliasMoves.Where(m => m.Model == "chained").OrderBy(m => m.Seq).ToListAsync());
        moves.Select(m => m.Seq).ShouldBe(Enumerable.Range(1, moves.Count).Select(i => (long)i));
        moves.Skip(1).Select(m => m.FromVersion).ShouldBe(moves.SkipLast(1).Select(m => m.ToVersion));
        (await JsonAsync("chained/aliases/champion")).GetProperty("version").GetString().ShouldBe(moves[^1].ToVersion);
    }

    [Theory]
    [InlineData("latest", "name_reserved")]
    [InlineData("LATEST", "name_reserved")]
    [InlineData("1111111111111111111111111111111111111111111111111111111111111111", "name_reserved")]
    [InlineData("-dash", "name_invalid")]
    [InlineData("a b", "name_invalid")]
    [InlineData("x%0A", "name_invalid")]
    public async Task Refuses_aliases_that_are_none(string alias, string code)
    {
        await ModelAsync("strict");
        (await (await MoveAsync("strict", alias, new { version = First })).ProblemAsync(400, code)).Keys.ShouldBe(["alias"]);
    }

    [Fact]
    public async Task Names_everything_that_is_wrong_with_a_move()
    {
        await ModelAsync("wrong");
        await (await MoveAsync("nowhere", "champion", new { version = First })).ProblemAsync(404, "model_not_found");
        (await (await MoveAsync("wrong", "latest", new { version = "nope", expected = "abc", reason = new string('x', 1001), surplus = 1 })).ProblemAsync(400, "invalid_request"))
            .ShouldBe(new Dictionary<string, string>
            {
                ["alias"] = "name_reserved",
                ["version"] = "model_version_unknown",
                ["expected"] = "invalid_text",
                ["reason"] = "out_of_range",
                ["surplus"] = "unknown_field",
            }, ignoreOrder: true);
        (await (await MoveAsync("wrong", "champion", new { })).ProblemAsync(400, "field_missing")).Keys.ShouldBe(["version"]);
        (await (await MoveAsync("wrong", "champion", new { version = "champion" })).ProblemAsync(422, "model_version_unknown")).Keys.ShouldBe(["version"]);
        (await JsonAsync("wrong/aliases")).GetProperty("aliases").GetArrayLength().ShouldBe(0);
    }

    [Theory]
    [InlineData("@champion", null)]
    [InlineData("", "champion")]
    public async Task A_job_takes_the_version_that_an_alias_names_when_it_is_accepted(string suffix, string? version)
    {
        var name = $"scored{suffix.Length}";
        await ModelAsync(name);
        await MoveAsync(name, "champion", new { version = Second });

        var accepted = await host.SubmitAsync(new { model = name + suffix, modelVersion = version, input = new { uri = ApiHost.Uri(host.Inputs, "rows.parquet") } });

        accepted.StatusCode.ShouldBe(HttpStatusCode.Accepted, await accepted.Content.ReadAsStringAsync());
        await MoveAsync(name, "champion", new { version = Third });
        var id = (await accepted.JsonAsync()).GetProperty("id").GetGuid();
        var spec = await host.WithDbAsync(db => db.WorkJobs.Where(j => j.Id == id).Select(j => j.Spec).SingleAsync());
        WireJson.Read<BatchJobSpec>(spec).Model.Sha256.ShouldBe(Second);
        (await (await host.SubmitAsync(new { model = $"{name}@nobody", input = new { uri = ApiHost.Uri(host.Inputs, "rows.parquet") } })).ProblemAsync(422, "model_version_unknown")).Keys.ShouldBe(["model"]);
    }

    [Theory]
    [InlineData("UPDATE sagas.model_alias_moves SET actor = 'nobody'")]
    [InlineData("DELETE FROM sagas.model_alias_moves")]
    [InlineData("TRUNCATE sagas.model_alias_moves")]
    public async Task The_history_is_only_ever_added_to(string how)
    {
        await ModelAsync("kept");
        await MoveAsync("kept", "champion", new { version = First });
        await using var source = NpgsqlDataSource.Create(host.ConnectionString);
        await using var command = source.CreateCommand(how);
        (await Should.ThrowAsync<PostgresException>(() => command.ExecuteNonQueryAsync())).MessageText.ShouldContain("only ever added to");
    }

    static string? From(JsonElement move) => move.TryGetProperty("from", out var from) ? from.GetString() : null;

    List<(string, string, string?)> Heard(string model) => [.. host.ModelUpdates.Where(u => u.Model == model).Select(u => (u.Type, u.Version, u.PreviousVersion))];

    async Task ModelAsync(string name)
    {
        if (await host.WithDbAsync(db => db.Models.AnyAsync(m => m.Name == name)))
            return;
        foreach (var version in new[] { First, Second, Third })
            await host.AddModelAsync(name, version);
        await host.WithDbAsync(db => db.Models.Where(m => m.Name == name && m.Version == Third).ExecuteUpdateAsync(m => m.SetProperty(x => x.RegisteredAt, DateTimeOffset.UnixEpoch.AddDays(1))));
    }

    Task<HttpResponseMessage> MoveAsync(string model, string alias, object body) => host.Client.PutAsJsonAsync($"/api/v1/models/{model}/aliases/{alias}", body);

    Task<HttpResponseMessage> RemoveAsync(string model, string alias, object body) =>
        host.Client.SendAsync(new HttpRequestMessage(HttpMethod.Delete, $"/api/v1/models/{model}/aliases/{alias}") { Content = JsonContent.Create(body) });

    async Task<JsonElement> JsonAsync(string path)
    {
        var response = await host.Client.GetAsync($"/api/v1/models/{path}");
        response.StatusCode.ShouldBe(HttpStatusCode.OK, await response.Content.ReadAsStringAsync());
        return await response.JsonAsync();
    }
}
