using System.Diagnostics;
using System.Net;
using System.Net.ServerSentEvents;
using System.Text.Json;
using Api.Security.ApiKeys;
using Interop.DuckDb;
using ServiceDefaults;

namespace Standalone;

/// <summary>Submits the sample job over HTTP, as anybody would, and shows how it goes.</summary>
sealed class SampleRun : IDisposable
{
    const int RowsShown = 5;
    static readonly TimeSpan RegistrationLimit = TimeSpan.FromMinutes(2);

    readonly Uri _address;
    readonly TextWriter _screen;
    readonly bool _isTerminal;
    readonly HttpClient _http;
    string _drawn = "";

    /// <param name="key">Shown with each request; null where nobody asks for one.</param>
    public SampleRun(Uri address, string? key, TextWriter screen, bool isTerminal)
    {
        (_address, _screen, _isTerminal) = (address, screen, isTerminal);
        _http = new HttpClient { BaseAddress = address, Timeout = Timeout.InfiniteTimeSpan };
        if (key is not null)
            _http.DefaultRequestHeaders.Add(ApiKeyText.Header, key);
    }

    /// <returns>Whether the job completed.</returns>
    public async Task<bool> RunAsync(CancellationToken cancellationToken)
    {
        var (model, table) = SampleFolder.Jobs[0];
        if (SampleFolder.Find() is not { } samples)
        {
            _screen.WriteLine("There are no samples beside this installation.");
            return false;
        }

        await WaitForModelAsync(model, cancellationToken);
        var input = new Uri(Path.Combine(samples, "data", table)).AbsoluteUri;
        var accepted = await SubmitAsync(model, input, cancellationToken);
        _screen.WriteLine($"Scoring {table} with {model}, job {accepted.Id}");
        await FollowAsync(accepted.Links.Events, cancellationToken);

        var job = await GetAsync<Job>(accepted.Links.Self, cancellationToken);
        var succeeded = job is { Status: "Completed" or "CompletedWithErrors", Rows.Scored: > 0, ManifestUri: not null };
        if (succeeded)
            ShowResult(job, new Uri(job.ManifestUri!).LocalPath);
        else
            _screen.WriteLine($"The job is {job.Status}: {job.Failure}");
        ShowAddresses(accepted.Links);
        return succeeded;
    }

    public void Dispose() => _http.Dispose();

    // The first start registers the sample models while it already serves.
    async Task WaitForModelAsync(string model, CancellationToken cancellationToken)
    {
        var since = TimeProvider.System.GetTimestamp();
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        while ((await _http.GetAsync($"api/v1/models/{model}", cancellationToken)).StatusCode != HttpStatusCode.OK)
        {
            if (TimeProvider.System.GetElapsedTime(since) > RegistrationLimit)
                throw new HttpRequestException($"{model} was not registered within {RegistrationLimit.TotalSeconds} s; the log says why.");
            await timer.WaitForNextTickAsync(cancellationToken);
        }
    }

    async Task<Accepted> SubmitAsync(string model, string input, CancellationToken cancellationToken)
    {
        var answer = await _http.PostAsJsonAsync("api/v1/batch-inference/jobs", new { model, input = new { uri = input } }, cancellationToken);
        if (!answer.IsSuccessStatusCode)
            throw new HttpRequestException($"The sample job was refused: {await answer.Content.ReadAsStringAsync(cancellationToken)}");
        return (await answer.Content.ReadFromJsonAsync<Accepted>(cancellationToken))!;
    }

    async Task FollowAsync(string events, CancellationToken cancellationToken)
    {
        await using var stream = await _http.GetStreamAsync(events, cancellationToken);
        var parser = SseParser.Create(stream, (_, data) => JsonSerializer.Deserialize<Progress>(data, JsonSerializerOptions.Web)!);
        await foreach (var item in parser.EnumerateAsync(cancellationToken))
            Draw(item.Data);
        if (_isTerminal)
            _screen.WriteLine();
    }

    void Draw(Progress progress)
    {
        var speed = progress.RowsPerSecond is { } rows ? $"{rows:N0} rows/s" : "- rows/s";
        var eta = progress.EtaSeconds is { } seconds ? $"ETA {seconds:N0} s" : "ETA -";
        var line = $"{progress.Percent,5:N1} %  {progress.RowsDone:N0} of {progress.RowsTotal:N0} rows  {speed}  "
            + $"{progress.ShardsDone:N0} of {progress.ShardsTotal:N0} shards  {eta}  {progress.Status}";
        // The last code erases what a longer line left.
        if (_isTerminal)
            _screen.Write($"\r{line}\e[K");
        else if (line != _drawn)
            _screen.WriteLine(line);
        _drawn = line;
    }

    void ShowResult(Job job, string manifest)
    {
        var folder = Path.GetDirectoryName(manifest)!;
        DuckDbLibrary.Load(NativeParts.DuckDb());
        using var database = DuckDbDatabase.Open(new DuckDbSettings());
        using var connection = database.Connect();
        var parts = Path.Combine(folder, "part-*.parquet").Replace("'", "''", StringComparison.Ordinal);
        using var result = connection.Query($"SELECT * FROM read_parquet('{parts}') LIMIT {RowsShown}");
        string[] header = [.. result.Fields.Select(field => field.Name)];
        string[][] rows = [header, .. result.Rows().Select(row => row.Select(Show).ToArray())];
        var widths = header.Select((_, column) => rows.Max(row => row[column].Length)).ToArray();

        var sinceStart = (TimeProvider.System.GetUtcNow() - Process.GetCurrentProcess().StartTime.ToUniversalTime()).TotalSeconds;
        _screen.WriteLine($"{job.Rows.Scored:N0} rows scored, {job.Rows.Quarantined:N0} quarantined; the first, {sinceStart:N1} s after the start:");
        foreach (var row in rows)
            _screen.WriteLine("  " + string.Join("  ", row.Select((cell, column) => cell.PadLeft(widths[column]))));
        _screen.WriteLine($"Result   {folder}");
    }

    void ShowAddresses(Links links)
    {
        _screen.WriteLine($"Open     {_address}");
        _screen.WriteLine($"The job  {new Uri(_address, links.Self)}");
        _screen.WriteLine($"The API  {new Uri(_address, "openapi/v1.json")}");
    }

    static string Show(object? value) => value switch
    {
        null => "NULL",
        float or double => $"{value:G7}",
        _ => value.ToString()!,
    };

    async Task<T> GetAsync<T>(string path, CancellationToken cancellationToken) => (await _http.GetFromJsonAsync<T>(path, cancellationToken))!;

    sealed record Accepted(Guid Id, Links Links);

    sealed record Links(string Self, string Events);

    sealed record Progress(
        string Status, long RowsTotal, long RowsDone, double Percent, double? RowsPerSecond, double? EtaSeconds, int ShardsTotal, int ShardsDone);

    sealed record Job(string Status, Rows Rows, string? ManifestUri, JsonElement? Failure);

    sealed record Rows(long Scored, long Quarantined);
}
