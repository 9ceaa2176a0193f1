using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;

namespace Api;

/// <summary>What a route may answer, for the API's description.</summary>
static class EndpointAnswers
{
    public static RouteHandlerBuilder Accepted<T>(this RouteHandlerBuilder route, params int[] problems) =>
        route.Produces<T>(StatusCodes.Status202Accepted).Problems(problems);

    public static RouteHandlerBuilder Problems(this RouteHandlerBuilder route, params int[] statuses)
    {
        foreach (var status in statuses)
            route.ProducesProblem(status);
        return route;
    }
}
