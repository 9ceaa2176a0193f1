using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting;
using Support;

namespace Messaging.Compliance.Tests;

public sealed class SettingsTests : IDisposable
{
    const string Secret = "hunter2";
    const string RabbitMq = "Messaging:RabbitMq:";

    readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("Pigeons", "Messaging:Transport is 'Pigeons'. Choose InMemory or RabbitMq.")]
    [InlineData("", "Messaging:Transport is ''. Choose InMemory or RabbitMq.")]
    [InlineData("1", "Messaging:Transport is '1'. Choose InMemory or RabbitMq.")]
    [InlineData("AzureServiceBus", "Messaging:Transport is AzureServiceBus, and this build has no adapter for it. Choose InMemory or RabbitMq.")]
    public void A_transport_that_is_not_there_stops_the_host_with_its_name(string transport, string message) =>
        Refusal(("Messaging:Transport", transport)).ShouldBe(message);

    [Fact]
    public void Everything_that_is_missing_is_named_at_once() => Refusal((RabbitMq + "Host", ""), (RabbitMq + "Username", ""), (RabbitMq + "Password", "")).ShouldBe(
        $"RabbitMQ cannot be used: {RabbitMq}Host must name the broker's machine; {RabbitMq}Username is missing; {RabbitMq}Password or PasswordFile is missing.");

    [Theory]
    [InlineData("Host", "amqp://somewhere", "Host must name the broker's machine")]
    [InlineData("Port", "70000", "Port must be 1 to 65535")]
    [InlineData("VirtualHost", "", "VirtualHost must not be empty")]
    [InlineData("HeartbeatSeconds", "0", "HeartbeatSeconds must be 1 to 600")]
    [InlineData("EndpointPatienceSeconds", "0", "EndpointPatienceSeconds must be 1 to 600")]
    [InlineData("TlsServerName", "localhost", "Tls must be true")]
    [InlineData("TlsAuthorityFile", "nowhere.pem", "TlsAuthorityFile names nowhere.pem, which is not there")]
    [InlineData("PasswordFile", "nowhere.txt", "Password and PasswordFile are both set")]
    public void A_wrong_setting_stops_the_host_with_its_name(string name, string value, string message) =>
        Refusal((RabbitMq + name, value)).ShouldContain(RabbitMq + message);

    [Fact]
    public void A_password_file_that_is_not_there_or_empty_stops_the_host_with_its_name()
    {
        Refusal((RabbitMq + "Password", ""), (RabbitMq + "PasswordFile", _folder["nothing"])).ShouldContain($"{RabbitMq}PasswordFile names {_folder["nothing"]}, which is not there");
        File.WriteAllText(_folder["empty"], "\n");
        Refusal((RabbitMq + "Password", ""), (RabbitMq + "PasswordFile", _folder["empty"])).ShouldContain("whose first line is empty");
    }

    static string Refusal(params (string Name, string Value)[] changes)
    {
        var builder = Host.CreateApplicationBuilder(new HostApplicationBuilderSettings { DisableDefaults = true });
        var settings = new Dictionary<string, string?>
        {
            ["Messaging:Transport"] = "RabbitMq",
            [RabbitMq + "Host"] = "localhost",
            [RabbitMq + "Username"] = "somebody",
            [RabbitMq + "Password"] = Secret,
        };
        foreach (var (name, value) in changes)
            settings[name] = value;
        builder.Configuration.AddInMemoryCollection(settings);

        var message = Should.Throw<MessagingConfigurationException>(() => builder.AddMessaging(_ => { })).Message;
        message.ShouldNotContain(Secret);
        return message;
    }
}
