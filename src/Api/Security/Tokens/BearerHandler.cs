using System.Diagnostics.Metrics;
using System.Text.Encodings.Web;
using Api.Security.ApiKeys;
using Microsoft.AspNetCore.Authentication;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Api.Security.Tokens;

/// <summary>Lets in who shows a token that is right. Why another is not, metrics tell and the caller is not told.</summary>
sealed class BearerHandler(IOptionsMonitor<AuthenticationSchemeOptions> options, ILoggerFactory logger, UrlEncoder encoder, TokenValidator validator)
    : AuthenticationHandler<AuthenticationSchemeOptions>(options, logger, encoder)
{
    const string Prefix = "Bearer ";

    static readonly Meter Meter = new("Api.Security");
    static readonly Counter<long> Rejected = Meter.CreateCounter<long>("auth.rejected", description: "Tokens refused, by the first check they did not pass");

    protected override async Task<AuthenticateResult> HandleAuthenticateAsync()
    {
        if (Request.Headers.Authorization is not [{ } header] || !header.StartsWith(Prefix, StringComparison.OrdinalIgnoreCase))
            return AuthenticateResult.NoResult();
        var (caller, fault) = await validator.ValidateAsync(header[Prefix.Length..], Context.RequestAborted);
        if (caller is not null)
            return AuthenticateResult.Success(new AuthenticationTicket(caller.ToPrincipal(Scheme.Name), Scheme.Name));
        Rejected.Add(1, new KeyValuePair<string, object?>("reason", fault.ToString()));
        return AuthenticateResult.Fail("The token is not valid.");
    }

    protected override Task HandleChallengeAsync(AuthenticationProperties properties)
    {
        Response.Headers.WWWAuthenticate = Request.Headers.Authorization.Count > 0 ? """Bearer error="invalid_token" """.TrimEnd() : "Bearer";
        return ApiKeyHandler.NotAuthenticated.ExecuteAsync(Context);
    }

    protected override Task HandleForbiddenAsync(AuthenticationProperties properties) => ApiKeyHandler.Forbidden.ExecuteAsync(Context);
}
