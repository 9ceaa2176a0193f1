using System.Net;
using Microsoft.EntityFrameworkCore;
using Support;

namespace Api.Tests;

[Collection(nameof(ApiHost))]
[Trait("Category", "Server")]
public sealed class IdempotencyTests(ApiHost host)
{
    readonly object _body = new { model = "risk", input = new { uri = ApiHost.Uri(host.Inputs, "rows.parquet") } };

    [Fact]
    public async Task The_same_request_gets_the_same_answer()
    {
        var key = NewKey();
        var first = await host.SubmitAsync(_body, key);
        var again = await host.SubmitAsync(_body, key);

        again.StatusCode.ShouldBe(HttpStatusCode.Accepted);
        (await again.Content.ReadAsStringAsync()).ShouldBe(await first.Content.ReadAsStringAsync());
        again.Headers.Location.ShouldBe(first.Headers.Location);
        again.Headers.GetValues("Idempotency-Replayed").ShouldBe(["true"]);
        first.Headers.Contains("Idempotency-Replayed").ShouldBeFalse();
    }

    [Fact]
    public async Task Twenty_twins_at_once_start_one_job()
    {
        var key = NewKey();
        var before = await host.WithDbAsync(db => db.WorkJobs.CountAsync());

        var answers = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => host.SubmitAsync(_body, key)));

        answers.ShouldAllBe(a => a.StatusCode == HttpStatusCode.Accepted);
        var texts = await Task.WhenAll(answers.Select(a => a.Content.ReadAsStringAsync()));
        texts.Distinct().Count().ShouldBe(1);
        (await host.WithDbAsync(db => db.WorkJobs.CountAsync())).ShouldBe(before + 1);
        var id = (await answers[0].JsonAsync()).GetProperty("id").GetGuid();
        await Eventually.TrueAsync(() => host.Submitted.ContainsKey(id), "SubmitBatchJob");
        host.Submitted[id].ShouldBe(1);
    }

    [Fact]
    public async Task Another_body_is_refused()
    {
        var key = NewKey();
        await host.SubmitAsync(_body, key);

        var other = await host.SubmitAsync(new { model = "risk", batchSize = 5, input = new { uri = ApiHost.Uri(host.Inputs, "rows.parquet") } }, key);

        await other.ProblemAsync(422, "idempotency_key_reused");
    }

    [Fact]
    public async Task A_key_is_of_its_route()
    {
        var key = NewKey();
        var first = await host.SubmitAsync(_body, key);
        var other = await host.PostAsync("/api/v1/batch/inference", new { modelName = "risk", dataSource = ApiHost.Uri(host.Inputs, "rows.parquet") }, key);

        other.StatusCode.ShouldBe(HttpStatusCode.Accepted);
        (await other.JsonAsync()).GetProperty("jobId").GetGuid().ShouldNotBe((await first.JsonAsync()).GetProperty("id").GetGuid());
    }

    [Fact]
    public async Task A_refused_request_does_not_use_up_its_key()
    {
        var key = NewKey();
        await (await host.SubmitAsync(new { model = "risk" }, key)).ProblemAsync(400, "field_missing");

        (await host.SubmitAsync(_body, key)).StatusCode.ShouldBe(HttpStatusCode.Accepted);
    }

    [Fact]
    public async Task A_key_is_free_again_after_a_day()
    {
        var key = NewKey();
        var first = await host.SubmitAsync(_body, key);
        await host.WithDbAsync(db => db.IdempotentRequests.Where(r => r.Key == key)
            .ExecuteUpdateAsync(s => s.SetProperty(r => r.CreatedAt, r => r.CreatedAt.AddHours(-24).AddMinutes(-1))));

        var later = await host.SubmitAsync(new { model = "risk", batchSize = 7, input = new { uri = ApiHost.Uri(host.Inputs, "rows.parquet") } }, key);

        later.StatusCode.ShouldBe(HttpStatusCode.Accepted);
        later.Headers.Location.ShouldNotBe(first.Headers.Location);
    }

    [Theory]
    [InlineData("two words")]
    [InlineData(" ")]
    public async Task A_key_must_be_a_plain_word(string key) => await (await host.SubmitAsync(_body, key)).ProblemAsync(400, "idempotency_key_invalid");

    [Fact]
    public async Task A_key_must_be_short() => await (await host.SubmitAsync(_body, new string('k', 201))).ProblemAsync(400, "idempotency_key_invalid");

    static string NewKey() => Guid.CreateVersion7().ToString();
}
