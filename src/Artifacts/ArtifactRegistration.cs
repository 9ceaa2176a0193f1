using Artifacts.Blobs;
using Artifacts.Web;
using Contracts;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;

namespace Artifacts;

public static class ArtifactRegistration
{
    const string Home = "Tenancy:Home";

    public static IServiceCollection AddArtifacts(this IServiceCollection services)
    {
        services.AddOptions<ArtifactOptions>().BindConfiguration(ArtifactOptions.Section)
            .Configure<IConfiguration>((options, configuration) => options.HomeTenant = configuration[Home] ?? new ArtifactOptions().HomeTenant)
            .Validate(o => o.MaxTextFileBytes > 0, "Artifacts:MaxTextFileBytes must be above 0.")
            .Validate(o => o.CacheBytes > 0, "Artifacts:CacheBytes must be above 0.")
            .Validate(
                o => o.CacheFolder.Length > 0 || !o.HasRemotes,
                "Artifacts:CacheFolder is missing: with Artifacts:Blob or Artifacts:Http, name the folder for copies of what is read.")
            .ValidateOnStart();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<ArtifactOptions>, TenantRootsValidation>());
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<ArtifactOptions>, RemotesValidation>());
        services.TryAddSingleton(provider => new ArtifactStore(
            provider.GetRequiredService<IOptions<ArtifactOptions>>().Value, provider.GetService<TimeProvider>()));
        return services;
    }

    /// <summary>For one host among others: what one of them writes another reads, so each must be told where.</summary>
    public static IServiceCollection AddSharedArtifacts(this IServiceCollection services)
    {
        services.AddArtifacts();
        services.AddOptions<ArtifactOptions>()
            .Validate(o => o.InputRoots.Length > 0 || o.HasRemotes, "Artifacts:InputRoots is missing: name the folders whose files may be scored, the same for each host.")
            .Validate(o => o.OutputRoots.Length > 0 || o.Blob.Accounts.Count > 0, "Artifacts:OutputRoots is missing: name the folders under which results may be written, the same for each host.")
            .Validate(o => o.ModelsRoot.Length > 0, "Artifacts:ModelsRoot is missing: name the folder or container of the models, the same for each host.");
        return services;
    }

    sealed class RemotesValidation : IValidateOptions<ArtifactOptions>
    {
        public ValidateOptionsResult Validate(string? name, ArtifactOptions options) =>
            BlobPlaces.Faults(options.Blob).Concat(WebFiles.Faults(options.Http)).ToList() is { Count: > 0 } wrong ? ValidateOptionsResult.Fail(wrong)
            : BlobPlaces.ModelsFault(options) is { } fault ? ValidateOptionsResult.Fail(fault)
            : ValidateOptionsResult.Success;
    }

    sealed class TenantRootsValidation : IValidateOptions<ArtifactOptions>
    {
        public ValidateOptionsResult Validate(string? name, ArtifactOptions options)
        {
            if (!TenantName.IsValid(options.HomeTenant))
                return ValidateOptionsResult.Fail($"{Home} is {options.HomeTenant}; a tenant's name is {TenantName.Rule}.");
            var wrong = options.Tenants.Keys.Order(StringComparer.Ordinal).Select(tenant =>
                !TenantName.IsValid(tenant) ? $"Artifacts:Tenants:{tenant} names no tenant; a tenant's name is {TenantName.Rule}."
                : tenant == options.HomeTenant ? $"Artifacts:Tenants:{tenant} is the home tenant ({Home}); its folders are Artifacts:InputRoots."
                : null).OfType<string>().ToList();
            return wrong.Count > 0 ? ValidateOptionsResult.Fail(wrong) : ValidateOptionsResult.Success;
        }
    }
}
