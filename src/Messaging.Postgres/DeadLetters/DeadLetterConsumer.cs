using System.Text.Json;
using MassTransit;
using Messaging.DeadLetters;
using Messaging.Postgres.Outbox;
using Npgsql;

namespace Messaging.Postgres.DeadLetters;

/// <summary>Brings dead letters to the table, where they can be read and counted.</summary>
sealed class DeadLetterConsumer(NpgsqlDataSource dataSource) : IConsumer<DeadLetter>
{
    public async Task Consume(ConsumeContext<DeadLetter> context)
    {
        var letter = context.Message;
        await using var command = dataSource.CreateCommand(
            """
            INSERT INTO messaging.dead (id, died_at, queue, reason, message_id, message_type, content_type, headers, body, error, stack)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING
            """);
        command.Parameters.AddRange(new NpgsqlParameter[]
        {
            new() { Value = letter.Id },
            new() { Value = letter.DiedAt.ToUniversalTime() },
            new() { Value = StorableText.Of(letter.Queue) },
            new() { Value = StorableText.Of(letter.Reason) },
            new() { Value = (object?)letter.MessageId ?? DBNull.Value },
            new() { Value = StorableText.Of(string.Join(';', letter.MessageTypes)) },
            new() { Value = StorableText.Of(letter.ContentType) },
            new() { Value = JsonSerializer.Serialize(letter.Headers) },
            new() { Value = letter.Body },
            new() { Value = (object?)StorableText.Of(letter.Error) ?? DBNull.Value },
            new() { Value = (object?)StorableText.Of(letter.Stack) ?? DBNull.Value },
        });
        if (await command.ExecuteNonQueryAsync(context.CancellationToken) == 1)
            Telemetry.Dead.Add(1);
    }
}

sealed class DeadLetterConsumerDefinition : ConsumerDefinition<DeadLetterConsumer>
{
    public DeadLetterConsumerDefinition() => EndpointName = DeadLetter.QueueName;

    protected override void ConfigureConsumer(
        IReceiveEndpointConfigurator endpointConfigurator, IConsumerConfigurator<DeadLetterConsumer> consumerConfigurator, IRegistrationContext context) =>
        endpointConfigurator.UseTransientRetry();
}
