using System.Net.Mime;
using System.Text;
using Contracts.BatchInference;
using MassTransit;
using MassTransit.Serialization;
using Messaging;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using Sagas.WorkLedger;
using Support;

namespace Api.Tests;

/// <summary>A queue from which the host takes requests, as a sender sees it, and what became of them.</summary>
sealed class InputQueue(ApiHost host, string name)
{
    public Task SendAsync(string body, Guid? messageId = null, string? contentType = null) => SendAsync(Encoding.UTF8.GetBytes(body), messageId, contentType);

    public async Task SendAsync(byte[] body, Guid? messageId, string? contentType)
    {
        var queue = await host.Services.GetRequiredService<IBus>().GetSendEndpoint(QueueAddress.Of(name));
        await queue.Send(new SerializedMessageBody(), Pipe.Execute<SendContext<SerializedMessageBody>>(context =>
        {
            var type = new ContentType(contentType is null or "garbage/;;" ? "text/plain" : contentType);
            context.Serializer = new CopyBodySerializer(type, new BytesMessageBody(body));
            context.ContentType = type;
            context.MessageId = messageId ?? context.MessageId;
        }));
    }

    public async Task<WorkJob> StartedAsync(Guid id)
    {
        WorkJob? job = null;
        await Eventually.TrueAsync(
            async () => (job = await host.WithDbAsync(db => db.WorkJobs.AsNoTracking().SingleOrDefaultAsync(j => j.Id == id))) is not null, $"job {id}");
        return job!;
    }

    public async Task<BatchInferenceOutput> OutputAsync(Guid id)
    {
        await Eventually.TrueAsync(() => host.EventsOf(id).Count > 0, $"an event of job {id}");
        return host.EventsOf(id)[0];
    }

    public async Task<DeadInput> LetterAsync(string mark)
    {
        await Eventually.TrueAsync(async () => (await LettersAsync(mark)).Count > 0, $"a dead letter of {name} that holds {mark}");
        return (await LettersAsync(mark))[0];
    }

    public async Task<List<DeadInput>> LettersAsync(string mark)
    {
        await using var command = host.Services.GetRequiredService<NpgsqlDataSource>().CreateCommand(
            "SELECT queue, reason, error, stack, body FROM messaging.dead WHERE queue = $2 AND position($1 IN body) > 0");
        command.Parameters.Add(new NpgsqlParameter<byte[]> { TypedValue = Encoding.UTF8.GetBytes(mark) });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = name });
        await using var reader = await command.ExecuteReaderAsync();
        var letters = new List<DeadInput>();
        while (await reader.ReadAsync())
            letters.Add(new DeadInput(reader.GetString(0), reader.GetString(1), reader[2] as string ?? "", reader[3] as string, (byte[])reader[4]));
        return letters;
    }
}

sealed record DeadInput(string Queue, string Reason, string Error, string? Stack, byte[] Body);
