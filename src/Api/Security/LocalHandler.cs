using System.Text.Encodings.Web;
using Microsoft.AspNetCore.Authentication;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Api.Security;

/// <summary>On a laptop nobody has to say who they are: who reaches loopback may do everything, as tenant <c>local</c>.</summary>
sealed class LocalHandler(IOptionsMonitor<AuthenticationSchemeOptions> options, ILoggerFactory logger, UrlEncoder encoder)
    : AuthenticationHandler<AuthenticationSchemeOptions>(options, logger, encoder)
{
    public const string SchemeName = "Local";

    public static readonly Caller Anybody = new(Tenant.Local, "local", null, Role.Admin, null);

    protected override Task<AuthenticateResult> HandleAuthenticateAsync() =>
        Task.FromResult(AuthenticateResult.Success(new AuthenticationTicket(Anybody.ToPrincipal(SchemeName), SchemeName)));
}
