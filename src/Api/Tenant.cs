using Microsoft.AspNetCore.Http;

namespace Api;

/// <summary>The one place that says whose rows a request may see. Every query filters by it.</summary>
static class Tenant
{
    public const string Local = "local";

    public static string Of(HttpContext _) => Local;
}
