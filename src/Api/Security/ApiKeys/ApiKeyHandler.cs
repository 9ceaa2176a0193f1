using System.Text.Encodings.Web;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Api.Security.ApiKeys;

/// <summary>Lets in who shows a key that is known.</summary>
sealed class ApiKeyHandler(IOptionsMonitor<AuthenticationSchemeOptions> options, ILoggerFactory logger, UrlEncoder encoder, ApiKeyDirectory keys)
    : AuthenticationHandler<AuthenticationSchemeOptions>(options, logger, encoder)
{
    public const string SchemeName = "ApiKey";

    protected override async Task<AuthenticateResult> HandleAuthenticateAsync()
    {
        if (ApiKeyText.Find(Request.Headers) is not { } text)
            return AuthenticateResult.NoResult();
        return await keys.FindAsync(text, Context.Connection.RemoteIpAddress, Context.RequestAborted) is { } caller
            ? AuthenticateResult.Success(new AuthenticationTicket(caller.ToPrincipal(SchemeName), SchemeName))
            : AuthenticateResult.Fail("The key is not known.");
    }

    protected override Task HandleChallengeAsync(AuthenticationProperties properties)
    {
        Response.Headers.WWWAuthenticate = SchemeName;
        return NotAuthenticated.ExecuteAsync(Context);
    }

    protected override Task HandleForbiddenAsync(AuthenticationProperties properties) => Forbidden.ExecuteAsync(Context);

    public static ProblemHttpResult NotAuthenticated =>
        Problem.From("not_authenticated", $"Show a key in the header {ApiKeyText.Header}, or a bearer token. An administrator makes keys at /api/v1/operations/api-keys.");

    public static ProblemHttpResult Forbidden =>
        Problem.From("forbidden", "Your role does not allow this. An administrator of your tenant can give another.");
}
