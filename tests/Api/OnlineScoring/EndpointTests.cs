using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Contracts.OnlineScoring;
using MassTransit;
using Microsoft.Extensions.DependencyInjection;

namespace Api.Tests.OnlineScoring;

[Trait("Category", "Server")]
public sealed class EndpointTests(ScoringHost host) : IClassFixture<ScoringHost>
{
    [Theory]
    [InlineData("fraud")]
    [InlineData("fraud@latest")]
    public async Task A_row_is_scored_by_the_worker_that_has_the_model(string name)
    {
        using var answer = await ScoreAsync(name, ScoringHost.Row());

        var body = await answer.JsonAsync();
        answer.StatusCode.ShouldBe(HttpStatusCode.OK, body.GetRawText());
        body.GetProperty("version").GetString().ShouldBe(host.ModelVersion);
        body.GetProperty("predictions")[0].EnumerateObject().ShouldNotBeEmpty();
    }

    [Fact]
    public async Task A_version_by_its_hash_is_a_name_too() =>
        (await ScoreAsync($"fraud@{host.ModelVersion}", ScoringHost.Row())).StatusCode.ShouldBe(HttpStatusCode.OK);

    [Theory]
    [InlineData("nothing")]
    [InlineData("fraud@champion")]
    public async Task What_there_is_not_is_404(string name) =>
        await (await ScoreAsync(name, ScoringHost.Row())).ProblemAsync(404, "model_not_found");

    [Fact]
    public async Task An_alias_is_a_name_too_once_there_is_one()
    {
        using var moved = await host.As("local", "operator").PutAsJsonAsync("/api/v1/models/fraud/aliases/winner", new { version = host.ModelVersion, reason = "It won." });
        moved.IsSuccessStatusCode.ShouldBeTrue(await moved.Content.ReadAsStringAsync());

        var answer = await (await ScoreAsync("fraud@winner", ScoringHost.Row())).JsonAsync();

        answer.GetProperty("version").GetString().ShouldBe(host.ModelVersion);
    }

    [Fact]
    public async Task An_adapter_is_chosen_for_each_request()
    {
        await host.AddAdaptedModelAsync("adapted", "ten");
        const string Body = """{"inputs":[{"name":"input_x","shape":[4,4],"datatype":"FP32","data":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]}]}""";

        var answers = await Task.WhenAll(Enumerable.Range(0, 8).Select(async i => (Adapted: i % 2 == 0, First: await FirstAsync(i % 2 == 0 ? "adapted/score?adapter=ten" : "adapted/score"))));

        foreach (var (adapted, first) in answers)
            (first == 154).ShouldBe(adapted);
        await (await PostAsync("adapted/score?adapter=other", Body)).ProblemAsync(404, "adapter_not_found");

        async Task<double> FirstAsync(string path) =>
            (await (await PostAsync(path, Body)).JsonAsync()).GetProperty("outputs")[0].GetProperty("data")[0].GetDouble();
    }

    [Fact]
    public async Task Another_tenants_model_does_not_exist() =>
        await (await host.As("acme", "viewer").PostAsync("/api/v1/endpoints/fraud/score", Json(ScoringHost.Row()))).ProblemAsync(404, "model_not_found");

    [Fact]
    public async Task What_the_worker_refuses_names_the_field() =>
        (await (await ScoreAsync("fraud", """{"data":[{}]}""")).ProblemAsync(422, "column_missing")).Keys.ShouldAllBe(field => field.StartsWith("data[0]."));

    [Theory]
    [InlineData("{", "malformed_json")]
    [InlineData("", "malformed_json")]
    [InlineData("{}", "invalid_request")]
    public async Task What_is_no_body_is_refused(string body, string code) => await (await ScoreAsync("fraud", body)).ProblemAsync(400, code);

    [Fact]
    public async Task A_body_too_large_is_refused() =>
        await (await ScoreAsync("fraud", new string(' ', ScoringHost.MaxBody + 1))).ProblemAsync(413, "body_too_large");

    [Fact]
    public async Task A_body_too_large_for_the_worker_is_refused_by_the_name_of_its_setting_and_the_worker_is_not_taken_for_lost()
    {
        using var answer = await ScoreAsync("fraud", new string(' ', ScoringHost.MaxBody));

        await answer.ProblemAsync(413, "body_too_large");
        (await answer.JsonAsync()).GetProperty("detail").GetString()!.ShouldContain("Online:MaxBodyBytes of the worker");
        (await ScoreAsync("fraud", ScoringHost.Row())).StatusCode.ShouldBe(HttpStatusCode.OK);
        // One of this size it takes, and looks into.
        await (await ScoreAsync("fraud", new string(' ', ScoringHost.MaxBodyOfWorker))).ProblemAsync(400, "malformed_json");
    }

    [Theory]
    [InlineData("0")]
    [InlineData("60001")]
    [InlineData("soon")]
    public async Task A_timeout_that_makes_no_sense_is_refused(string timeout)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/api/v1/endpoints/fraud/score") { Content = Json(ScoringHost.Row()), Headers = { { "X-Timeout-Ms", timeout } } };

        await (await host.As("local", "viewer").SendAsync(request)).ProblemAsync(400, "out_of_range");
    }

    [Fact]
    public async Task A_worker_that_is_lost_is_passed_over()
    {
        // A port at which nobody listens, and which looks the better choice.
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        var dead = new Uri($"http://{taken.LocalEndpoint}");
        taken.Stop();
        await host.AnnounceAsync("dead", dead, host.ModelVersion, free: 1000);

        for (var i = 0; i < 5; i++)
            (await ScoreAsync("fraud", ScoringHost.Row())).StatusCode.ShouldBe(HttpStatusCode.OK);
    }

    [Fact]
    public async Task A_worker_whose_machine_does_not_answer_is_passed_over()
    {
        // Its queue is full, and nobody takes from it: a connection is neither made nor refused.
        using var deaf = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        deaf.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        deaf.Listen(0);
        var waiting = new List<TcpClient>();
        try
        {
            for (var isFull = false; !isFull;)
            {
                var client = new TcpClient();
                waiting.Add(client);
                try
                {
                    await client.ConnectAsync((IPEndPoint)deaf.LocalEndPoint!).WaitAsync(TimeSpan.FromMilliseconds(300));
                }
                catch (TimeoutException)
                {
                    isFull = true;
                }
            }
            await host.AnnounceAsync("deaf", new Uri($"http://{deaf.LocalEndPoint}"), host.ModelVersion, free: 1000);

            (await ScoreAsync("fraud", ScoringHost.Row())).StatusCode.ShouldBe(HttpStatusCode.OK);
        }
        finally
        {
            waiting.ForEach(client => client.Dispose());
        }
    }

    [Theory]
    [InlineData(null, 404)]
    [InlineData("ffffffffffffffffffffffffffffffff", 404)]
    [InlineData(ScoringHost.WorkerKey, 422)]
    public async Task A_worker_answers_those_alone_who_know_the_key(string? key, int status)
    {
        using var client = new HttpClient();
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(host.Worker, "/score")) { Content = Json("{}") };
        if (key is not null)
            request.Headers.Add("X-Worker-Key", key);
        request.Headers.Add("X-Model", "evil");
        request.Headers.Add("X-Model-Sha256", host.ModelVersion);
        request.Headers.Add("X-Model-Uri", "file:///etc/passwd");

        ((int)(await client.SendAsync(request)).StatusCode).ShouldBe(status);
    }

    [Fact]
    public async Task Over_the_bus_it_is_a_request_and_a_response()
    {
        var client = host.Services.GetRequiredService<IBus>().CreateRequestClient<ScoreOnline>(RequestTimeout.After(s: 20));

        var scored = await client.GetResponse<ScoredOnline, ScoringRefused>(new ScoreOnline("fraud", JsonDocument.Parse(ScoringHost.Row()).RootElement));
        scored.Is(out Response<ScoredOnline>? answer).ShouldBeTrue();
        answer!.Message.Body.GetProperty("version").GetString().ShouldBe(host.ModelVersion);

        var refused = await client.GetResponse<ScoredOnline, ScoringRefused>(new ScoreOnline("nothing", JsonDocument.Parse("{}").RootElement));
        refused.Is(out Response<ScoringRefused>? refusal).ShouldBeTrue();
        refusal!.Message.Failure.Code.ShouldBe("model_not_found");
    }

    Task<HttpResponseMessage> ScoreAsync(string name, string body) => PostAsync($"{name}/score", body);

    Task<HttpResponseMessage> PostAsync(string path, string body) => host.As("local", "viewer").PostAsync($"/api/v1/endpoints/{path}", Json(body));

    static StringContent Json(string body) => new(body, Encoding.UTF8, "application/json");
}

[Trait("Category", "Server")]
public sealed class NoWorkerTests(ApiHost host) : IClassFixture<ApiHost>
{
    [Fact]
    public async Task Without_a_worker_it_is_told_to_come_again()
    {
        using var answer = await host.Client.PostAsync("/api/v1/endpoints/risk/score", new StringContent("{}", Encoding.UTF8, "application/json"));

        await answer.ProblemAsync(503, "no_worker");
        answer.Headers.RetryAfter.ShouldNotBeNull();
    }
}
