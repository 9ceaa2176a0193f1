using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Configuration.Memory;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace ServiceDefaults;

/// <summary>A host in a process of its own, beside any number of others.</summary>
public static class HostProcess
{
    /// <summary>With what every host has. It listens on loopback alone until <c>Urls</c> or <c>ASPNETCORE_URLS</c> says otherwise.</summary>
    /// <param name="port">Where it listens when nobody says otherwise.</param>
    public static WebApplicationBuilder CreateBuilder(string[] args, int port)
    {
        var builder = WebApplication.CreateBuilder(new WebApplicationOptions { Args = args, ContentRootPath = AppContext.BaseDirectory });
        // First in the list, so that every other source has the last word.
        builder.Configuration.Sources.Insert(0, new MemoryConfigurationSource
        {
            InitialData = new Dictionary<string, string?>
            {
                ["Urls"] = $"http://127.0.0.1:{port}",
                ["Logging:LogLevel:Default"] = "Warning",
                ["Logging:LogLevel:Microsoft.Hosting.Lifetime"] = "Information",
                // What a failed statement means is for its caller to say.
                ["Logging:LogLevel:Microsoft.EntityFrameworkCore"] = "Critical",
            },
        });
        builder.AddServiceDefaults();
        return builder;
    }

    /// <summary>Until the process is told to end.</summary>
    /// <exception cref="OptionsValidationException">A setting is missing or wrong; the message names it.</exception>
    public static async Task RunToEndAsync(this WebApplication app)
    {
        // Before the host does it, who would log the stack of what is a sentence for an operator.
        try
        {
            app.Services.GetService<IStartupValidator>()?.Validate();
        }
        catch (AggregateException e)
        {
            throw new OptionsValidationException("settings", typeof(WebApplication), e.InnerExceptions.OfType<OptionsValidationException>().SelectMany(wrong => wrong.Failures));
        }

        await app.RunAsync();
    }
}
