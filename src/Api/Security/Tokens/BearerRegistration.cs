using Microsoft.AspNetCore.Authentication;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
#if JWTBEARER
using Microsoft.AspNetCore.Authentication.JwtBearer;
using Microsoft.IdentityModel.JsonWebTokens;
#endif

namespace Api.Security.Tokens;

static class BearerRegistration
{
    public const string SchemeName = "Bearer";

    /// <returns>Whether tokens are configured.</returns>
    public static bool AddBearerTokens(this AuthenticationBuilder authentication, IHostApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddOptions<EntraOptions>().BindConfiguration(EntraOptions.Section).ValidateOnStart();
        services.AddSingleton<IValidateOptions<EntraOptions>, EntraOptions.Validator>();
        services.AddSingleton<EntraCallers>();
        var development = DevelopmentTokens.Read(builder.Configuration, builder.Environment);
        var isConfigured = builder.Configuration[$"{EntraOptions.Section}:{nameof(EntraOptions.TenantId)}"] is { Length: > 0 };
#if JWTBEARER
        authentication.AddJwtBearer(SchemeName, _ => { });
        services.AddOptions<JwtBearerOptions>(SchemeName).Configure<IOptions<EntraOptions>, EntraCallers>(UseFramework);
        return isConfigured;
#else
        services.AddSingleton(development);
        services.AddSingleton<SigningKeys>();
        services.AddSingleton<TokenValidator>();
        services.AddHttpClient(SigningKeys.ClientName, http => (http.Timeout, http.MaxResponseContentBufferSize) = (SigningKeys.Timeout, SigningKeys.MostBytes))
            .ConfigurePrimaryHttpMessageHandler(() => new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false });
        authentication.AddScheme<AuthenticationSchemeOptions, BearerHandler>(SchemeName, null);
        return isConfigured || development.Any;
#endif
    }

#if JWTBEARER
    // The framework checks form, key, signature and times; what the token says leads to a caller as without it.
    static void UseFramework(JwtBearerOptions jwt, IOptions<EntraOptions> options, EntraCallers callers)
    {
        var entra = options.Value;
        if (!entra.IsConfigured)
            return;
        jwt.MetadataAddress = entra.MetadataAddress.AbsoluteUri;
        jwt.MapInboundClaims = false;
        jwt.IncludeErrorDetails = false;
        jwt.TokenValidationParameters.ValidAlgorithms = [TokenValidator.Rs256];
        jwt.TokenValidationParameters.ValidAudiences = entra.Audiences;
        jwt.TokenValidationParameters.ClockSkew = entra.ClockSkew;
        jwt.TokenValidationParameters.TryAllIssuerSigningKeys = false;
        // Of many tenants each has its own issuer: EntraCallers compares it.
        jwt.TokenValidationParameters.ValidateIssuer = false;
        jwt.Events = new JwtBearerEvents
        {
            OnTokenValidated = async context =>
            {
                var metadata = await jwt.ConfigurationManager!.GetConfigurationAsync(context.HttpContext.RequestAborted);
                var payload = SignedToken.Decode(((JsonWebToken)context.SecurityToken).EncodedPayload);
                if (payload is not null && TokenClaims.Read(payload) is { } claims && callers.Find(claims, metadata.Issuer).Caller is { } caller)
                    context.Principal = caller.ToPrincipal(SchemeName);
                else
                    context.Fail("The token is not valid.");
            },
        };
    }
#endif
}
