using RabbitMQ.Client;
using Support;

namespace Messaging.Compliance.Tests;

[Trait("Category", "Server")]
public sealed class RabbitMqServerTests(RabbitMqServer server) : IClassFixture<RabbitMqServer>
{
    [Fact]
    public async Task A_killed_broker_keeps_its_ports_its_virtual_hosts_and_what_is_durable()
    {
        await using var broker = await RabbitMqProcess.StartNewAsync();
        var virtualHost = await broker.CreateVirtualHostAsync();
        await DeclareAsync(broker, virtualHost, "kept");

        await broker.KillAsync();
        await broker.StartAsync();
        (await broker.QueuesAsync(virtualHost)).ShouldBe(new Dictionary<string, string> { ["kept"] = "quorum" });

        await broker.StopAsync();
        await broker.StartAsync();
        (await broker.QueuesAsync(virtualHost)).Keys.ShouldBe(["kept"]);
    }

    [Fact]
    public async Task Each_virtual_host_is_empty()
    {
        var (first, second) = (await server.CreateVirtualHostAsync(), await server.CreateVirtualHostAsync());
        await DeclareAsync(server.Process, first, "kept");

        second.ShouldNotBe(first);
        (await server.Process.QueuesAsync(second)).ShouldBeEmpty();
    }

    static async Task DeclareAsync(RabbitMqProcess broker, string virtualHost, string queue)
    {
        var factory = new ConnectionFactory
        {
            HostName = "127.0.0.1",
            Port = broker.Port,
            UserName = broker.Username,
            Password = broker.Password,
            VirtualHost = virtualHost,
        };
        await using var connection = await factory.CreateConnectionAsync();
        await using var channel = await connection.CreateChannelAsync();
        await channel.QueueDeclareAsync(queue, durable: true, exclusive: false, autoDelete: false, new Dictionary<string, object?> { ["x-queue-type"] = "quorum" });
    }
}
