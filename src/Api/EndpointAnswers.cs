using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.OpenApi;

namespace Api;

/// <summary>What a route may answer, for the API's description.</summary>
static class EndpointAnswers
{
    /// <summary>The POST starts something: repeating it with the same key does not start it again.</summary>
    public static RouteHandlerBuilder TakesIdempotencyKey(this RouteHandlerBuilder route) =>
        route.AddOpenApiOperationTransformer((operation, _, _) =>
        {
            (operation.Parameters ??= []).Add(new OpenApiParameter
            {
                Name = "Idempotency-Key",
                In = ParameterLocation.Header,
                Description = "1 to 200 visible ASCII characters. The same key with the same body gets the first answer again, for 24 hours.",
                Schema = new OpenApiSchema { Type = JsonSchemaType.String },
            });
            return Task.CompletedTask;
        });

    public static RouteHandlerBuilder Accepted<T>(this RouteHandlerBuilder route, params int[] problems) =>
        route.Produces<T>(StatusCodes.Status202Accepted).Problems(problems);

    public static RouteHandlerBuilder Problems(this RouteHandlerBuilder route, params int[] statuses)
    {
        foreach (var status in statuses)
            route.ProducesProblem(status);
        return route;
    }
}
