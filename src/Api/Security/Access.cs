using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace Api.Security;

/// <summary>Says which role a route needs. Kept with the route, so that it can be asked of every route there is.</summary>
public sealed record NeededRole(Role Role);

/// <summary>The route is there for the platform's owner alone.</summary>
public sealed record OfHome;

/// <summary>What a route demands of its caller. A route that demands nothing answers nobody.</summary>
static class Access
{
    public static TBuilder Needs<TBuilder>(this TBuilder route, Role role) where TBuilder : IEndpointConventionBuilder =>
        route.RequireAuthorization(role.ToString()).WithMetadata(new NeededRole(role));

    /// <summary>The platform as a whole is its owner's business: for every other tenant there is nothing here.</summary>
    public static TBuilder OfHomeOnly<TBuilder>(this TBuilder route) where TBuilder : IEndpointConventionBuilder =>
        route.WithMetadata(new OfHome()).AddEndpointFilter(async (context, next) =>
        {
            var http = context.HttpContext;
            var home = http.RequestServices.GetRequiredService<IOptions<TenancyOptions>>().Value.Home;
            return http.Caller().Tenant == home ? await next(context) : Problem.From("not_found", $"There is nothing at {http.Request.Path}. See /openapi/v1.json.");
        });

    /// <summary>Of a request that a policy has let through.</summary>
    public static Caller Caller(this HttpContext context) =>
        Security.Caller.Of(context.User) ?? throw new InvalidOperationException($"{context.Request.Path} has no policy: nobody knows who asks.");

    public static void AddRoles(this IServiceCollection services) =>
        services.AddAuthorizationBuilder()
            .SetFallbackPolicy(new AuthorizationPolicyBuilder().RequireAuthenticatedUser().RequireAssertion(IsNoRoute).Build())
            .AddPolicy(nameof(Role.Viewer), policy => policy.RequireAuthenticatedUser().RequireAssertion(context => Has(context, Role.Viewer)))
            .AddPolicy(nameof(Role.Operator), policy => policy.RequireAuthenticatedUser().RequireAssertion(context => Has(context, Role.Operator)))
            .AddPolicy(nameof(Role.Admin), policy => policy.RequireAuthenticatedUser().RequireAssertion(context => Has(context, Role.Admin)));

    // That there is no such path or method may be told; a route that forgot to say whom it is for answers nobody.
    static bool IsNoRoute(AuthorizationHandlerContext context) => (context.Resource as HttpContext)?.GetEndpoint() is not RouteEndpoint;

    static bool Has(AuthorizationHandlerContext context, Role needed) => Security.Caller.Of(context.User)?.Role >= needed;
}
