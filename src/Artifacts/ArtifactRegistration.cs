using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;

namespace Artifacts;

public static class ArtifactRegistration
{
    public static IServiceCollection AddArtifacts(this IServiceCollection services)
    {
        services.AddOptions<ArtifactOptions>().BindConfiguration(ArtifactOptions.Section)
            .Validate(o => o.MaxTextFileBytes > 0, "Artifacts:MaxTextFileBytes must be above 0.")
            .ValidateOnStart();
        services.TryAddSingleton(provider => new ArtifactStore(provider.GetRequiredService<IOptions<ArtifactOptions>>().Value));
        return services;
    }
}
