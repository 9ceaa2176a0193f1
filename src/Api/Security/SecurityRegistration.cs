using Api.Edge;
using Api.Security.ApiKeys;
using Api.Security.Tokens;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Sagas.Persistence;

namespace Api.Security;

/// <summary>Who may come in, how they show it, and whose rows they then see.</summary>
public static class SecurityRegistration
{
    const string Chooser = "Chooser";

    /// <returns>Whether anybody has to show who they are. When not, the host must be reachable from this machine alone.</returns>
    public static bool AddSecurity(this IHostApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddOptions<TenancyOptions>().BindConfiguration(TenancyOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        services.AddOptions<ApiKeyOptions>().BindConfiguration(ApiKeyOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        services.AddOptions<QuotaOptions>().BindConfiguration(QuotaOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        services.AddScoped<TenantQuotas>();
        services.AddRoles();

        var hasKeys = builder.Configuration.GetValue($"{ApiKeyOptions.Section}:{nameof(ApiKeyOptions.Enabled)}", false);
        var authentication = services.AddSchemes();
        var hasTokens = authentication.AddBearerTokens(builder);
        authentication.AddPolicyScheme(Chooser, null, options => options.ForwardDefaultSelector = context =>
            !hasKeys && !hasTokens ? LocalHandler.SchemeName
            : !hasTokens || (hasKeys && ApiKeyText.Find(context.Request.Headers) is not null) ? ApiKeyHandler.SchemeName
            : BearerRegistration.SchemeName);
        authentication.AddScheme<AuthenticationSchemeOptions, LocalHandler>(LocalHandler.SchemeName, null);
        authentication.AddScheme<AuthenticationSchemeOptions, ApiKeyHandler>(ApiKeyHandler.SchemeName, null);
        services.AddSingleton<ApiKeyDirectory>();
        services.AddSingleton<CallerLease>();
        services.AddHostedService<FirstAdministrator>();
        services.AddHostedService<ApiKeyUse>();
        return hasKeys || hasTokens;
    }

    // Not AddAuthentication: it brings keys for cookies, which nobody uses here, and writes them into the user's home.
    static AuthenticationBuilder AddSchemes(this IServiceCollection services)
    {
#if JWTBEARER
        return services.AddAuthentication(Chooser);
#else
        services.AddAuthenticationCore(options => options.DefaultScheme = Chooser);
        services.AddWebEncoders();
        return new AuthenticationBuilder(services);
#endif
    }

    public static void UseSecurity(this WebApplication app)
    {
        // Before it is known who asks, a request sees nothing.
        app.Use((context, next) =>
        {
            context.RequestServices.GetRequiredService<DataScope>().SeeNothing();
            return next(context);
        });
        app.UseAuthentication();
        app.Use((context, next) =>
        {
            if (Caller.Of(context.User) is { } caller)
                context.RequestServices.GetRequiredService<DataScope>().See(caller.Tenant);
            return next(context);
        });
        // Who is over a limit is not even asked for its role.
        app.UseRateLimiter();
        app.Use((context, next) => context.RequestServices.GetRequiredService<Turns>().InvokeAsync(context, next, context.RequestServices.GetRequiredService<RequestLimits>()));
        app.UseAuthorization();
    }
}
