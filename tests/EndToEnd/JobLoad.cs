using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Support;

namespace EndToEnd;

/// <summary>
/// Jobs of one tiny shard each. Their client does what a client should: it asks again, with the same key, until it hears that its job
/// is accepted. What it heard instead is kept.
/// </summary>
sealed class JobLoad
{
    const int Rows = 50;

    /// <summary>The path of a saga that nothing goes wrong with; the end of the shards may be heard of before the plan.</summary>
    static readonly string[] Paths = ["Queued Planning Scoring Publishing Completed", "Queued Planning Publishing Completed"];

    static readonly TimeSpan AskAgain = TimeSpan.FromMilliseconds(250);

    readonly ProcessGroup _group;
    readonly JobRequest _request;
    readonly ConcurrentBag<Guid> _accepted = [];
    readonly ConcurrentQueue<string> _refusals = [];

    JobLoad(ProcessGroup group, JobRequest request) => (_group, _request) = (group, request);

    public int Accepted => _accepted.Count;

    /// <summary>Answers other than 202, as status and <c>Retry-After</c>, and connections that broke.</summary>
    public IReadOnlyCollection<string> Refusals => _refusals;

    Guid[] Ids => [.. _accepted];

    /// <summary>After a first job, which loads the model everywhere it is needed.</summary>
    public static async Task<JobLoad> PrepareAsync(ProcessGroup group)
    {
        var file = Path.Combine(group.Inputs, "few.parquet");
        if (!File.Exists(file))
            Tables.Write($"SELECT * FROM {Tables.Sample("transactions.parquet")} LIMIT {Rows}", file);
        var request = new JobRequest("fraud-detection-model", new JobFiles(new Uri(file).AbsoluteUri), ["transaction_id"]);
        (await group.RunAsync(request)).Status.ShouldBe("Completed");
        return new JobLoad(group, request);
    }

    /// <summary>Evenly, one after the other; as fast as they are accepted when the time is too short.</summary>
    public async Task SubmitAsync(int jobs, TimeSpan over)
    {
        var started = TimeProvider.System.GetTimestamp();
        for (var i = 0; i < jobs; i++)
        {
            await SubmitAsync();
            var ahead = over * (i + 1) / jobs - TimeProvider.System.GetElapsedTime(started);
            if (ahead > TimeSpan.Zero)
                await Task.Delay(ahead);
        }
    }

    async Task SubmitAsync()
    {
        var key = Guid.CreateVersion7().ToString();
        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(3));
        using var patience = new PeriodicTimer(AskAgain);
        do
        {
            try
            {
                using var answer = await _group.PostAsync(_request, key);
                if (answer.StatusCode == HttpStatusCode.Accepted)
                {
                    _accepted.Add((await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("id").GetGuid());
                    return;
                }

                _refusals.Enqueue($"{(int)answer.StatusCode} {answer.Headers.RetryAfter}");
            }
            catch (HttpRequestException e)
            {
                _refusals.Enqueue(e.HttpRequestError.ToString());
            }
            catch (IOException)
            {
                // Killed between the answer's head and its body: whether it was accepted is asked again.
                _refusals.Enqueue("broken answer");
            }
        }
        while (await patience.WaitForNextTickAsync(limit.Token));
    }

    /// <summary>Each job went its way once and is where it should be, and nothing of any of them is left over.</summary>
    public async Task ShouldEndOnceAsync(TimeSpan within)
    {
        Accepted.ShouldBe(_accepted.Distinct().Count());
        await EndAsync(within);

        var paths = await _group.QueryAsync<string>(
            "SELECT coalesce(string_agg(t.state, ' ' ORDER BY t.nr), 'none') FROM unnest($1) AS j (id) LEFT JOIN public.transitions t ON t.job = j.id GROUP BY j.id", Ids);
        paths.Where(path => !Paths.Contains(path)).ShouldBeEmpty();
        (await _group.CountAsync($"SELECT count(*) FROM sagas.work_jobs WHERE id = ANY ($1) AND state = 'Completed' AND input_rows = {Rows} AND scored = {Rows}", Ids)).ShouldBe(Accepted);
        (await _group.CountAsync("SELECT count(*) FROM sagas.work_units WHERE job_id = ANY ($1) AND state IN (0, 1, 2)", Ids)).ShouldBe(0);
        Written().ShouldBe((Accepted, (long)Accepted * Rows));

        await EmptyAsync("messaging.outbox");
        (await _group.QueryAsync<string>("SELECT queue || ': ' || reason || ' ' || coalesce(error, '') FROM messaging.dead")).ShouldBeEmpty();
        await _group.ShouldKeepInvariantsAsync();
    }

    async Task EndAsync(TimeSpan within)
    {
        try
        {
            await Eventually.TrueAsync(
                async () => await _group.CountAsync("SELECT count(*) FROM sagas.batch_jobs WHERE correlation_id = ANY ($1) AND ended_at IS NOT NULL", Ids) == Accepted,
                $"the end of {Accepted} jobs", within);
        }
        catch (TimeoutException e)
        {
            var states = await _group.QueryAsync<string>(
                """
                SELECT concat_ws(' ', coalesce(s.current_state, 'no saga'), j.state, count(*)) FROM sagas.work_jobs j LEFT JOIN sagas.batch_jobs s ON s.correlation_id = j.id
                WHERE j.id = ANY ($1) GROUP BY s.current_state, j.state
                """, Ids);
            throw new TimeoutException($"{e.Message}. They are {string.Join(", ", states)}. The logs:\n{_group.Output}", e);
        }
    }

    async Task EmptyAsync(string table)
    {
        try
        {
            await Eventually.TrueAsync(async () => await _group.CountAsync($"SELECT count(*) FROM {table}") == 0, $"nothing left in {table}");
        }
        catch (TimeoutException)
        {
            (await _group.QueryAsync<string>($"SELECT message_type || ' to ' || destination || ' due ' || coalesce(due_at, sent_at) FROM {table}")).ShouldBeEmpty();
            throw;
        }
    }

    (int Jobs, long Rows) Written()
    {
        var mine = Ids.Select(id => id.ToString()).ToHashSet();
        var folders = Directory.GetDirectories(Path.Combine(_group.Results, "@local")).Where(folder => mine.Contains(Path.GetFileName(folder)) && File.Exists(Path.Combine(folder, "_manifest.json"))).ToList();
        var parts = folders.SelectMany(folder => Directory.GetFiles(folder, "part-*.parquet")).ToList();
        return (folders.Count, parts.Count == 0 ? 0 : Tables.CountRows(parts));
    }
}
