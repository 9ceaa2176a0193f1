using System.Text.Json;
using RabbitMQ.Client;
using RabbitMQ.Client.Exceptions;
using Support;

namespace EndToEnd;

/// <summary>Who may say whose a job is, decided by nothing but the broker's permissions, as docs/messaging.md gives them.</summary>
[Trait("Category", "Server"), Collection(PlatformGroup.Name)]
public sealed class TrustedInputTests(RabbitMqServer broker) : IClassFixture<RabbitMqServer>, IAsyncLifetime
{
    const string Plain = "batch-inference-input";
    const string Trusted = "batch-inference-input-trusted";

    readonly TestFolder _folder = new();
    string _virtualHost = "";
    Platform? _platform;
    IntegratingSystem? _listener;

    public async Task InitializeAsync()
    {
        _virtualHost = await broker.CreateVirtualHostAsync();
        var process = broker.Process;
        _listener = await IntegratingSystem.StartAsync($"amqp://{process.Username}:{process.Password}@127.0.0.1:{process.Port}/{Uri.EscapeDataString(_virtualHost)}");
        _platform = await Platform.StartAsync(new StandaloneLaunch(_folder["data"])
        {
            Environment = process.Settings(_virtualHost).Append(new("Api:BatchInference:TrustedInput", Trusted))
                .ToDictionary(s => s.Key.Replace(":", "__", StringComparison.Ordinal), s => s.Value!),
        });
        await Eventually.TrueAsync(
            async () => (await _platform.Http.GetAsync("/api/v1/models/fraud-detection-model")).IsSuccessStatusCode, "the samples to be registered", TimeSpan.FromMinutes(2));
    }

    public async Task DisposeAsync()
    {
        if (_listener is not null)
            await _listener.DisposeAsync();
        if (_platform is not null)
            await _platform.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public async Task Only_who_may_publish_there_can_name_a_tenant()
    {
        await using var plain = await ConnectAsync("plain", Plain);
        await using var trusted = await ConnectAsync("trusted", Trusted);

        await PublishAsync(trusted, Trusted, "", Request("of-acme", "acme"));
        await PublishAsync(trusted, Trusted, "", Request("of-local", "local"));
        await PublishAsync(plain, Plain, "", Request("of-nobody", null));
        await PublishAsync(plain, Plain, "", Request("of-liar", "acme"));
        // Neither by the exchange, nor by the default one that leads to every queue, nor by a way of its own making.
        await RefusedAsync(plain, Trusted, "");
        await RefusedAsync(plain, "", Trusted);
        await RefusedAsync(trusted, Plain, "");
        await RefusedAsync(plain, channel => channel.ExchangeBindAsync(Trusted, Plain, ""));
        await RefusedAsync(plain, channel => channel.QueueBindAsync(Trusted, Plain, ""));
        await RefusedAsync(plain, channel => channel.BasicGetAsync(Trusted, autoAck: true));

        // It has no model, so this far its job can get and no further.
        var ofAcme = await EventAsync("of-acme", "batch-job-rejected");
        (ofAcme.GetProperty("tenant").GetString(), ofAcme.GetProperty("queue").GetString(), ofAcme.GetProperty("failure").GetProperty("code").GetString())
            .ShouldBe(("acme", Trusted, "unprocessable_request"));
        (await EventAsync("of-local", "batch-job-completed")).GetProperty("tenant").GetString().ShouldBe("local");
        (await EventAsync("of-nobody", "batch-job-completed")).GetProperty("tenant").GetString().ShouldBe("local");
        var ofLiar = await EventAsync("of-liar", "batch-job-rejected");
        (ofLiar.GetProperty("tenant").GetString(), ofLiar.GetProperty("failure").GetProperty("code").GetString()).ShouldBe(("local", "unknown_field"));
        _listener!.Heard.Where(e => e.Exchange != "model-updates").ShouldNotContain(e => e.Reference == "of-refused");
        _listener.Heard.ShouldAllBe(e => e.Body.GetProperty("tenant").GetString() != null);
    }

    /// <summary>A user who may write to one exchange and do nothing else.</summary>
    async Task<IConnection> ConnectAsync(string user, string exchange)
    {
        var password = Guid.CreateVersion7().ToString("N");
        await broker.Process.EvaluateAsync($"ok = rabbit_auth_backend_internal:add_user(<<\"{user}\">>, <<\"{password}\">>, <<\"test\">>)");
        await broker.Process.EvaluateAsync(
            $"ok = rabbit_auth_backend_internal:set_permissions(<<\"{user}\">>, <<\"{_virtualHost}\">>, <<\"^$\">>, <<\"^{exchange}$\">>, <<\"^$\">>, <<\"test\">>)");
        return await new ConnectionFactory { HostName = "127.0.0.1", Port = broker.Process.Port, VirtualHost = _virtualHost, UserName = user, Password = password }.CreateConnectionAsync();
    }

    static async Task PublishAsync(IConnection connection, string exchange, string routingKey, object request)
    {
        await using var channel = await connection.CreateChannelAsync(new CreateChannelOptions(publisherConfirmationsEnabled: true, publisherConfirmationTrackingEnabled: true));
        await channel.BasicPublishAsync(exchange, routingKey, mandatory: true, new BasicProperties { Persistent = true }, JsonSerializer.SerializeToUtf8Bytes(request));
    }

    static Task RefusedAsync(IConnection connection, string exchange, string routingKey) =>
        RefusedAsync(connection, async channel => await channel.BasicPublishAsync(
            exchange, routingKey, mandatory: true, new BasicProperties { Persistent = true }, JsonSerializer.SerializeToUtf8Bytes(Request("of-refused", "acme"))));

    static async Task RefusedAsync(IConnection connection, Func<IChannel, Task> attempt)
    {
        await using var channel = await connection.CreateChannelAsync(new CreateChannelOptions(publisherConfirmationsEnabled: true, publisherConfirmationTrackingEnabled: true));
        var refused = await Should.ThrowAsync<Exception>(() => attempt(channel));
        refused.ShouldBeAssignableTo<RabbitMQClientException>(refused.ToString());
        channel.CloseReason!.ReplyCode.ShouldBe((ushort)403, refused.ToString());
    }

    static object Request(string jobId, string? tenant)
    {
        var input = new { uri = Scenarios.Input("transactions.parquet").Uri };
        return tenant is null ? new { jobId, model = "fraud-detection-model", input } : new { jobId, tenant, model = "fraud-detection-model", input };
    }

    async Task<JsonElement> EventAsync(string reference, string type) => (await _listener!.EventAsync(reference, type)).Body;
}
