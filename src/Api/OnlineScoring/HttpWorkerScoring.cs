using System.Buffers;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using Contracts;
using Contracts.OnlineScoring;
using Microsoft.Extensions.Options;

namespace Api.OnlineScoring;

/// <summary>Straight to the least loaded worker that has the model open. Scoring changes nothing, so another is asked when one is lost.</summary>
sealed class HttpWorkerScoring : IWorkerScoring, IDisposable
{
    const int MostTried = 3;
    const int AskFirst = 1 << 20;

    readonly Workers _workers;
    readonly string _key;
    readonly HttpClient _http;

    public HttpWorkerScoring(Workers workers, IOptions<WorkerAccessOptions> access)
    {
        (_workers, _key) = (workers, access.Value.Key);
        // A worker's address is on this platform's own network, whatever proxy the machine has for others.
        _http = new HttpClient(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false, ConnectTimeout = TimeSpan.FromSeconds(2), PooledConnectionIdleTimeout = TimeSpan.FromSeconds(30) })
        {
            Timeout = Timeout.InfiniteTimeSpan,
        };
    }

    public async Task ScoreAsync(ModelRef model, AdapterRef? adapter, ReadOnlyMemory<byte> body, TimeSpan timeout, IBufferWriter<byte> answer, CancellationToken cancellationToken)
    {
        var tried = new List<KnownWorker>();
        while (tried.Count < MostTried && _workers.Choose(model.Sha256, tried) is { } worker)
        {
            tried.Add(worker);
            worker.Ask();
            try
            {
                await AskAsync(worker, model, adapter, body, timeout, answer, cancellationToken);
                return;
            }
            // A connection that does not come about in time is told as a cancellation.
            catch (Exception e) when (e is HttpRequestException || (e is OperationCanceledException && !cancellationToken.IsCancellationRequested))
            {
                // Nothing of an answer has come through: an answer is taken whole.
                _workers.Forget(worker);
            }
            finally
            {
                worker.Answered();
            }
        }
        throw new FailureException(new Failure("no_worker", "No worker answers. Try again when one runs."), isTransient: true);
    }

    public void Dispose() => _http.Dispose();

    async Task AskAsync(KnownWorker worker, ModelRef model, AdapterRef? adapter, ReadOnlyMemory<byte> body, TimeSpan timeout, IBufferWriter<byte> answer, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(worker.Address!, ScoringHeaders.Path)) { Content = new ReadOnlyMemoryContent(body) };
        // A worker that takes no body of this size says so before it comes: while it is on its way, the answer would be lost with the connection.
        request.Headers.ExpectContinue = body.Length > AskFirst;
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        request.Headers.TryAddWithoutValidation(ScoringHeaders.Model, model.Name);
        request.Headers.TryAddWithoutValidation(ScoringHeaders.Sha256, model.Sha256);
        request.Headers.TryAddWithoutValidation(ScoringHeaders.Uri, model.Uri);
        request.Headers.TryAddWithoutValidation(ScoringHeaders.Memory, model.MemoryBytes.ToString(CultureInfo.InvariantCulture));
        if (model.Golden is not null)
            request.Headers.TryAddWithoutValidation(ScoringHeaders.Golden, WireJson.Write(model.Golden));
        request.Headers.TryAddWithoutValidation(ScoringHeaders.Timeout, $"{Math.Max(1, (int)timeout.TotalMilliseconds)}");
        if (adapter is not null)
            request.Headers.TryAddWithoutValidation(ScoringHeaders.Adapter, adapter.Uri);
        if (adapter?.Sha256 is { } sha256)
            request.Headers.TryAddWithoutValidation(ScoringHeaders.AdapterSha256, sha256);
        if (_key.Length > 0)
            request.Headers.TryAddWithoutValidation(ScoringHeaders.Key, _key);
        using var response = await _http.SendAsync(request, cancellationToken);
        if (response.IsSuccessStatusCode)
            answer.Write(await response.Content.ReadAsByteArrayAsync(cancellationToken));
        else
            throw await RefusedAsync(response, cancellationToken);
    }

    static async Task<Exception> RefusedAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        if (response.StatusCode == HttpStatusCode.NotFound)
            return new HttpRequestException("The worker does not know us: Workers:Key is not the same for both.");
        try
        {
            var problem = await response.Content.ReadFromJsonAsync<WorkerProblem>(JsonSerializerOptions.Web, cancellationToken);
            if (problem is { Code: { } code, Detail: { } detail })
                return new FailureException(new Failure(code, detail, problem.Errors), isTransient: response.StatusCode is HttpStatusCode.TooManyRequests or HttpStatusCode.ServiceUnavailable);
        }
        catch (JsonException)
        {
            // Said below.
        }
        return new HttpRequestException($"The worker answered {(int)response.StatusCode}.");
    }

    sealed record WorkerProblem(string? Code, string? Detail, IReadOnlyList<FieldFailure>? Errors);
}
