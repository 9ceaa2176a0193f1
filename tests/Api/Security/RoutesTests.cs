using System.Net;
using System.Text;
using Api.Security;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace Api.Tests.Security;

/// <summary>Every route there is, taken from the running host: one that is added later is asked too.</summary>
[Collection(nameof(SecuredHost)), Trait("Category", "Server")]
public sealed class RoutesTests(SecuredHost host)
{
    // They say that the process lives, and nothing else.
    static readonly string[] ForAnybody = ["/health/live", "/health/ready"];

    [Fact]
    public void Every_route_says_whom_it_is_for() => Undecided(Routes()).ShouldBeEmpty();

    [Fact]
    public async Task A_route_that_says_nothing_is_found_and_answers_nobody()
    {
        await using var app = host.Build(host.ConnectionString);
        app.MapGet("/forgotten", () => "secret");
        await app.StartAsync();

        Undecided(app.Services.GetRequiredService<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>()).ShouldBe(["GET /forgotten"]);
        using var client = host.With((await File.ReadAllTextAsync(host.AdministratorKeyFile)).Trim());
        var response = await client.GetAsync(new Uri(app.Urls.First()) + "forgotten");
        response.StatusCode.ShouldBe(HttpStatusCode.Forbidden);
        (await response.Content.ReadAsStringAsync()).ShouldNotContain("secret");
        await app.StopAsync();
    }

    [Fact]
    public async Task Without_credentials_there_is_no_answer_but_401()
    {
        using var nobody = host.With(null);
        using var wrong = host.With("sgs_AAAAAAAAAAAAAAAAAAAAAA_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
        foreach (var route in Closed())
            foreach (var client in new[] { nobody, wrong })
            {
                using var response = await SendAsync(client, route);
                response.StatusCode.ShouldBe(HttpStatusCode.Unauthorized, route.ToString());
                response.Headers.WwwAuthenticate.ShouldNotBeEmpty(route.ToString());
                await response.ProblemAsync(401, "not_authenticated");
            }
    }

    [Fact]
    public async Task A_role_too_low_gets_403()
    {
        foreach (var route in Closed())
        {
            string? below = route.Role switch { Role.Viewer => null, Role.Operator => "viewer", _ => "operator" };
            using var response = await SendAsync(host.As("local", below), route);
            response.StatusCode.ShouldBe(HttpStatusCode.Forbidden, route.ToString());
            await response.ProblemAsync(403, "forbidden");
        }
    }

    [Fact]
    public async Task Another_tenants_things_are_not_there()
    {
        foreach (var route in Closed())
        {
            using var response = await SendAsync(host.As("acme", "admin"), route);
            if (route.HasSubject || route.IsOfHome)
                response.StatusCode.ShouldBe(HttpStatusCode.NotFound, route.ToString());
            foreach (var secret in new[] { host.Job.ToString(), host.Key, host.DeadLetter.ToString(), ApiHost.Version })
                if (!route.Path.Contains(secret, StringComparison.Ordinal))
                    (await response.Content.ReadAsStringAsync()).ShouldNotContain(secret, customMessage: route.ToString());
        }
    }

    [Fact]
    public async Task Whoever_has_the_role_gets_an_answer()
    {
        foreach (var route in Closed().Where(r => r.Method == "GET" && !r.Path.EndsWith("/events", StringComparison.Ordinal)))
        {
            using var response = await SendAsync(host.As("local", route.Role), route);
            ((int)response.StatusCode).ShouldBeOneOf([200, 409], route.ToString());
        }
    }

    IEnumerable<RouteEndpoint> Routes() => host.Services.GetRequiredService<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>();

    List<Route> Closed()
    {
        var routes = Routes().Where(e => e.Metadata.GetMetadata<IAllowAnonymous>() is null)
            .SelectMany(e => Methods(e).Select(method => Route.Of(e, method, Fill(e)))).ToList();
        routes.Count.ShouldBeGreaterThan(20);
        return routes;
    }

    static IEnumerable<string> Undecided(IEnumerable<RouteEndpoint> endpoints) =>
        from endpoint in endpoints
        let path = $"/{endpoint.RoutePattern.RawText?.TrimStart('/')}"
        let isOpen = endpoint.Metadata.GetMetadata<IAllowAnonymous>() is not null
        where isOpen ? !ForAnybody.Contains(path) : endpoint.Metadata.GetMetadata<NeededRole>() is null || endpoint.Metadata.GetOrderedMetadata<IAuthorizeData>().Count == 0
        from method in Methods(endpoint)
        select $"{method} {path}";

    static IReadOnlyList<string> Methods(RouteEndpoint endpoint) => endpoint.Metadata.GetMetadata<HttpMethodMetadata>()?.HttpMethods ?? ["GET"];

    // Something of local's for each parameter: what cannot be filled fails here.
    string Fill(RouteEndpoint endpoint)
    {
        var path = new StringBuilder();
        foreach (var segment in endpoint.RoutePattern.PathSegments)
            path.Append('/').AppendJoin("", segment.Parts.Select(part => part switch
            {
                Microsoft.AspNetCore.Routing.Patterns.RoutePatternParameterPart parameter => Value(endpoint.RoutePattern.RawText!, parameter.Name),
                Microsoft.AspNetCore.Routing.Patterns.RoutePatternLiteralPart literal => literal.Content,
                Microsoft.AspNetCore.Routing.Patterns.RoutePatternSeparatorPart separator => separator.Content,
                _ => throw new InvalidOperationException($"{endpoint.RoutePattern.RawText} has a part of an unknown kind."),
            }));
        return path.Length == 0 ? "/" : path.ToString();
    }

    string Value(string pattern, string parameter) => (pattern, parameter) switch
    {
        (_, "jobId") => host.Job.ToString(),
        (_, "name") => "risk",
        (_, "version") => ApiHost.Version,
        (_, "alias") => "champion",
        (_, "adapter") => "house",
        (_, "documentName") => "v1",
        ({ } p, "id") when p.Contains("dead-letters", StringComparison.Ordinal) => host.DeadLetter.ToString(),
        ({ } p, "id") when p.Contains("api-keys", StringComparison.Ordinal) => host.Key,
        ({ } p, "id") when p.Contains("jobs", StringComparison.Ordinal) => host.Job.ToString(),
        _ => throw new InvalidOperationException($"Say here what {parameter} of {pattern} is."),
    };

    static async Task<HttpResponseMessage> SendAsync(HttpClient client, Route route)
    {
        using var request = new HttpRequestMessage(new HttpMethod(route.Method), route.Path);
        if (route.Method != "GET")
            request.Content = new StringContent("""{ "reason": "To see who may." }""", Encoding.UTF8, "application/json");
        return await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
    }

    sealed record Route(string Method, string Path, Role Role, bool HasSubject, bool IsOfHome)
    {
        public static Route Of(RouteEndpoint endpoint, string method, string path) => new(
            method, path, endpoint.Metadata.GetRequiredMetadata<NeededRole>().Role,
            endpoint.RoutePattern.Parameters.Any(p => p.Name != "documentName"), endpoint.Metadata.GetMetadata<OfHome>() is not null);

        public override string ToString() => $"{Method} {Path}";
    }
}
