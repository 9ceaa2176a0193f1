using MassTransit;
using Microsoft.Extensions.Logging;
using Support;

namespace Messaging.Compliance.Tests;

[Trait("Category", "Server")]
public sealed class AccessTests(RabbitMqTransport transport) : IClassFixture<RabbitMqTransport>, IDisposable
{
    const string RabbitMq = "Messaging:RabbitMq:";

    readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_wrong_password_stops_the_host_which_names_the_setting_and_never_the_password()
    {
        const string Wrong = "not-the-password";
        await using var worker = await StartRefusedAsync((RabbitMq + "Password", Wrong));

        await RefusalAsync(worker, RabbitMq + "Username and Password or PasswordFile");
        await Eventually.TrueAsync(() => worker.IsStopping, "the host to stop");
        foreach (var level in Enum.GetValues<LogLevel>())
            worker.Logs.At(level).ShouldNotContain(l => l.Contains(Wrong) || l.Contains(transport.Broker.Password));
    }

    [Fact]
    public async Task A_virtual_host_that_is_not_there_is_said()
    {
        await using var worker = await StartRefusedAsync((RabbitMq + "VirtualHost", "nowhere"));

        await RefusalAsync(worker, "no virtual host nowhere");
    }

    [Fact]
    public async Task A_password_file_lets_in()
    {
        await File.WriteAllTextAsync(_folder["password"], transport.Broker.Password + "\n");
        await using var worker = await StartAsync((RabbitMq + "Password", ""), (RabbitMq + "PasswordFile", _folder["password"]));

        await WorksAsync(worker);
    }

    [Fact]
    public async Task An_encrypted_connection_to_a_broker_of_a_known_authority_works()
    {
        await using var worker = await StartAsync(Encrypted("localhost", transport.Broker.Certificates.AuthorityFile));

        await WorksAsync(worker);
    }

    [Theory]
    [InlineData("elsewhere.example", true)]
    [InlineData("localhost", false)]
    public async Task An_encrypted_connection_to_a_broker_of_another_name_or_authority_is_refused(string name, bool known)
    {
        var authority = known ? transport.Broker.Certificates.AuthorityFile : TestCertificates.Create(_folder.Path, "localhost").AuthorityFile;
        await using var worker = await StartRefusedAsync(Encrypted(name, authority));

        await RefusalAsync(worker, RabbitMq + "TlsServerName and TlsAuthorityFile");
    }

    [Fact]
    public async Task An_authority_that_this_machine_does_not_know_is_refused()
    {
        await using var worker = await StartRefusedAsync(Encrypted("localhost", ""));

        await RefusalAsync(worker, RabbitMq + "TlsServerName and TlsAuthorityFile");
    }

    (string Name, string Value)[] Encrypted(string name, string authority) =>
    [
        (RabbitMq + "Port", $"{transport.Broker.TlsPort}"), (RabbitMq + "Tls", "true"), (RabbitMq + "TlsServerName", name), (RabbitMq + "TlsAuthorityFile", authority),
    ];

    Task<WorkerHost> StartAsync(params (string Name, string Value)[] changes) => StartAsync(awaitBus: true, changes);

    Task<WorkerHost> StartRefusedAsync(params (string Name, string Value)[] changes) => StartAsync(awaitBus: false, changes);

    async Task<WorkerHost> StartAsync(bool awaitBus, (string Name, string Value)[] changes)
    {
        var settings = (await transport.OpenAsync()).Settings.ToDictionary();
        foreach (var (name, value) in changes)
            settings[name] = value;
        return await WorkerHost.StartAsync(settings, bus => bus.AddConsumer<CountBoxesConsumer>().Endpoint(e => e.Name = "boxes"), awaitBus: awaitBus);
    }

    static async Task WorksAsync(WorkerHost worker)
    {
        var answer = await worker.Bus.CreateRequestClient<CountBoxes>(RequestTimeout.After(m: 1)).GetResponse<BoxesCounted>(new CountBoxes(NewId.NextGuid(), 2));
        answer.Message.Boxes.ShouldBe(2);
    }

    static async Task RefusalAsync(WorkerHost worker, string reason)
    {
        await Eventually.TrueAsync(() => Refusals().Any(), "the reason");
        Refusals().ShouldHaveSingleItem().ShouldContain(reason);

        IEnumerable<string> Refusals() => worker.Logs.At(LogLevel.Error).Where(l => l.StartsWith("RabbitMQ at 127.0.0.1:"));
    }
}
