using System.Net.Http.Headers;
using Sagas.WorkLedger;

namespace Api.Tests.Security;

/// <summary>Room for two open jobs and 1,000 bytes.</summary>
public sealed class NarrowHost : ApiHost
{
    private protected override IReadOnlyDictionary<string, string?> Settings { get; } = new Dictionary<string, string?>
    {
        ["Quotas:OpenJobs"] = "2",
        ["Quotas:StoredBytes"] = "1000",
    };
}

[Trait("Category", "Server")]
public sealed class QuotaTests : IAsyncLifetime
{
    readonly NarrowHost _host = new();

    public Task InitializeAsync() => _host.InitializeAsync();

    public Task DisposeAsync() => _host.DisposeAsync();

    [Fact]
    public async Task A_tenant_with_too_many_open_jobs_is_told_to_wait_until_one_has_ended()
    {
        var first = await _host.AddJobAsync(WorkJobState.Queued, null);
        ((int)(await SubmitAsync()).StatusCode).ShouldBe(202);
        var refused = await SubmitAsync();
        await refused.ProblemAsync(429, "too_many_jobs");
        refused.Headers.RetryAfter!.Delta.ShouldNotBeNull();

        await _host.ChangeJobAsync(first, job => job.State = WorkJobState.Completed);
        ((int)(await SubmitAsync()).StatusCode).ShouldBe(202);
    }

    [Fact]
    public async Task Models_and_results_count_together()
    {
        ((int)(await UploadAsync("fits", 600)).StatusCode).ShouldBe(201);
        await (await UploadAsync("surplus", 500)).ProblemAsync(409, "storage_limit_reached");
        await _host.AddJobAsync(WorkJobState.Completed, null, job => job.ResultBytes = 401);
        await (await SubmitAsync()).ProblemAsync(409, "storage_limit_reached");
        Directory.EnumerateFiles(Path.Combine(_host.Models, "@local"), "*", SearchOption.AllDirectories).Count().ShouldBe(1);
    }

    Task<HttpResponseMessage> SubmitAsync() => _host.SubmitAsync(new { model = "risk", input = new { uri = ApiHost.Uri(_host.Inputs, "rows.parquet") } });

    async Task<HttpResponseMessage> UploadAsync(string name, int bytes)
    {
        using var content = new ByteArrayContent([.. "good"u8, .. new byte[bytes - 4]]);
        content.Headers.ContentType = new MediaTypeHeaderValue("application/octet-stream");
        return await _host.Client.PostAsync($"/api/v1/models?name={name}", content);
    }
}
