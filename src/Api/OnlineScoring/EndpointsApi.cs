using Api.Edge;
using Api.Models;
using Api.Security;
using Contracts;
using Contracts.OnlineScoring;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Options;
using Sagas.Persistence;
using ServiceDefaults;

namespace Api.OnlineScoring;

static class EndpointsApi
{
    public static RouteGroupBuilder MapEndpoints(this RouteGroupBuilder api)
    {
        var endpoints = api.MapGroup("/endpoints").WithTags("Endpoints");
        endpoints.MapPost("/{name}/score", ScoreAsync).WithName("ScoreEndpoint")
            .WithSummary("Score rows, a table or tensors, and wait for the result")
            .WithDescription("{\"data\":[{…}]}, {\"input_data\":{\"columns\",\"index\",\"data\"}}, or tensors as in the Open Inference Protocol v2. Answered in the same form.")
            .Accepts<ScoringBody>("application/json").Produces<object>(200).Problems(400, 404, 413, 422, 429, 503, 504)
            .Needs(Role.Viewer).AtOwnPace().AtScoringRate();
        endpoints.MapGet("/{name}/openapi.json", DescribeAsync).WithName("DescribeEndpoint")
            .WithSummary("The endpoint's own OpenAPI: the rows and tensors that its model takes and gives").Produces<object>(200).Problems(404).Needs(Role.Viewer);
        return api;
    }

    /// <param name="name">A model's name, or <c>name@alias</c>.</param>
    static async Task<Results<ContentHttpResult, ProblemHttpResult>> DescribeAsync(string name, PlatformDbContext db, CancellationToken cancellationToken)
    {
        var asked = ModelName.Parse(name);
        return await db.FindModelAsync(asked.Name, asked.Reference, cancellationToken) is { } model
            ? TypedResults.Text(EndpointDescription.Of(name, model.Version, model.ReadSignature()).ToJsonString(), "application/json")
            : Problem.From("model_not_found", "There is no such model. See GET /api/v1/models.");
    }

    /// <param name="name">A model's name, or <c>name@alias</c>.</param>
    /// <param name="adapter">Name of a LoRA adapter of that version.</param>
    static async Task ScoreAsync(
        HttpContext context, string name, string? adapter, ServedModels models, IWorkerScoring workers, IOptions<OnlineScoringApiOptions> options, TimeProvider clock)
    {
        var timeout = ScoringTimeout.Read(context.Request.Headers[ScoringHeaders.Timeout] is [{ } asked, ..] ? asked : null, options.Value.TimeoutMilliseconds);
        using var time = new CancellationTokenSource(timeout, clock);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(time.Token, context.RequestAborted);
        try
        {
            var (model, weights) = await models.FindAsync(context.Caller().Tenant, name, adapter, stop.Token);
            // All of it is here before a worker is asked: a slow sender holds none.
            using var body = await PooledBody.ReadAsync(context.Request, options.Value.MaxBodyBytes, "Api:OnlineScoring:MaxBodyBytes, and Online:MaxBodyBytes of the workers", stop.Token);
            using var answer = new PooledAnswer();
            await workers.ScoreAsync(model, weights, body.Memory, timeout, answer, stop.Token);
            context.Response.ContentType = "application/json";
            context.Response.ContentLength = answer.Written.Length;
            await context.Response.Body.WriteAsync(answer.Written, stop.Token);
        }
        catch (OperationCanceledException e) when (!context.RequestAborted.IsCancellationRequested)
        {
            throw new FailureException(new Failure("deadline_exceeded", "The time for the request was up before it was scored."), inner: e);
        }
    }
}

/// <summary>One of the three forms, for the API's description.</summary>
public sealed record ScoringBody(IReadOnlyList<IReadOnlyDictionary<string, object>>? Data, ScoringTable? InputData, IReadOnlyList<ScoringTensor>? Inputs);

public sealed record ScoringTable(IReadOnlyList<string>? Columns, IReadOnlyList<object>? Index, IReadOnlyList<IReadOnlyList<object>> Data);

public sealed record ScoringTensor(string Name, IReadOnlyList<long> Shape, string Datatype, IReadOnlyList<object> Data);
