using Api.Security;
using Microsoft.AspNetCore.Http;

namespace Api;

/// <summary>Whose a request is. Its queries need not ask: they see this tenant's rows alone.</summary>
static class Tenant
{
    public const string Local = "local";

    public static string Of(HttpContext context) => context.Caller().Tenant;
}
