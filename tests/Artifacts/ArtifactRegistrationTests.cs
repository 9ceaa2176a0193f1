using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace Artifacts.Tests;

public sealed class ArtifactRegistrationTests
{
    internal static ArtifactOptions Read(params (string Key, string Value)[] settings)
    {
        var configuration = new ConfigurationBuilder().AddInMemoryCollection(settings.ToDictionary(s => s.Key, s => (string?)s.Value)).Build();
        var services = new ServiceCollection().AddSingleton<IConfiguration>(configuration).AddArtifacts();
        using var provider = services.BuildServiceProvider();
        return provider.GetRequiredService<IOptions<ArtifactOptions>>().Value;
    }

    [Fact]
    public void Tenants_have_their_roots_by_name()
    {
        var options = Read(
            ("Artifacts:InputRoots:0", "/data"), ("Artifacts:Tenants:acme:InputRoots:0", "/a"), ("Artifacts:Tenants:acme:InputRoots:1", "/b"),
            ("Artifacts:Tenants:0b1f8f5c-9d0e-4b1e-8d52-3f1c9b3f7a10:InputRoots:0", "/c"));
        options.HomeTenant.ShouldBe("local");
        options.InputRoots.ShouldBe(["/data"]);
        options.Tenants["acme"].InputRoots.ShouldBe(["/a", "/b"]);
        options.Tenants["0b1f8f5c-9d0e-4b1e-8d52-3f1c9b3f7a10"].InputRoots.ShouldBe(["/c"]);
        Read(("Tenancy:Home", "owner")).HomeTenant.ShouldBe("owner");
        // Only there: what is the home tenant is no matter of artifacts alone.
        Read(("Artifacts:HomeTenant", "owner")).HomeTenant.ShouldBe("local");
    }

    [Theory]
    [InlineData("Artifacts:Tenants:Acme:InputRoots:0", "/a", "Artifacts:Tenants:Acme names no tenant")]
    [InlineData("Artifacts:Tenants:a_b:InputRoots:0", "/a", "Artifacts:Tenants:a_b names no tenant")]
    [InlineData("Artifacts:Tenants:..:InputRoots:0", "/a", "Artifacts:Tenants:.. names no tenant")]
    [InlineData("Artifacts:Tenants:local:InputRoots:0", "/a", "Artifacts:Tenants:local is the home tenant")]
    [InlineData("Tenancy:Home", "Owner", "Tenancy:Home is Owner")]
    [InlineData("Tenancy:Home", "", "Tenancy:Home is ")]
    public void What_names_no_tenant_stops_the_start_and_is_named(string key, string value, string message) =>
        Should.Throw<OptionsValidationException>(() => Read((key, value))).Message.ShouldContain(message);
}
