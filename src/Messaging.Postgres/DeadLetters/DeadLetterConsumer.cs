using System.Text.Json;
using MassTransit;
using Messaging.DeadLetters;
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
            new() { Value = letter.Queue },
            new() { Value = letter.Reason },
            new() { Value = (object?)letter.MessageId ?? DBNull.Value },
            new() { Value = string.Join(';', letter.MessageTypes) },
            new() { Value = letter.ContentType },
            new() { Value = JsonSerializer.Serialize(letter.Headers) },
            new() { Value = letter.Body },
            new() { Value = (object?)letter.Error ?? DBNull.Value },
            new() { Value = (object?)letter.Stack ?? DBNull.Value },
        });
        await command.ExecuteNonQueryAsync(context.CancellationToken);
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
