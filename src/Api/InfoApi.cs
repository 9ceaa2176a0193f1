using System.Reflection;
using System.Runtime.InteropServices;
using Api.Security;
using Interop.DuckDb;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;

namespace Api;

/// <summary>Something of a version that the host brings and the API cannot know, such as the workers' ONNX Runtime.</summary>
public sealed record PartVersion(string Name, string Version);

public sealed record PlatformInfo(string Name, string Version, string Runtime, string System, IReadOnlyList<PartVersion> Parts);

static class InfoApi
{
    public static void MapInfo(this IEndpointRouteBuilder app) =>
        app.MapGet("/info", Info).WithName("GetInfo").WithSummary("Versions of the platform and its native parts").WithTags("Operations").Needs(Role.Viewer);

    static Ok<PlatformInfo> Info(IEnumerable<PartVersion> parts)
    {
        var version = typeof(InfoApi).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "unknown";
        return TypedResults.Ok(new PlatformInfo(
            "Sagas", version, RuntimeInformation.FrameworkDescription, RuntimeInformation.OSDescription,
            [new PartVersion("DuckDB", DuckDbLibrary.Version ?? "not loaded"), .. parts]));
    }
}
