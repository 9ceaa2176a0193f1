using System.Net.Mime;
using System.Text.Json;
using MassTransit;
using Messaging.Postgres.Outbox;
using Microsoft.Extensions.Logging;
using Npgsql;
using NpgsqlTypes;

namespace Messaging.Postgres.DeadLetters;

/// <summary>Shows what is in <c>messaging.dead</c> and sends it again.</summary>
public sealed partial class DeadLetterBox
{
    const string Unsendable = "unsendable";

    readonly NpgsqlDataSource _dataSource;
    readonly OutboxWakeUp _wakeUp;
    readonly TimeProvider _clock;
    readonly ILogger<DeadLetterBox> _logger;

    internal DeadLetterBox(NpgsqlDataSource dataSource, OutboxWakeUp wakeUp, TimeProvider clock, ILogger<DeadLetterBox> logger) =>
        (_dataSource, _wakeUp, _clock, _logger) = (dataSource, wakeUp, clock, logger);

    /// <summary>Newest first.</summary>
    /// <param name="queue">Only those of this queue; null for all.</param>
    /// <param name="reason">Only those with this reason; null for all.</param>
    /// <param name="after">The last one of the page before; null for the first page.</param>
    /// <param name="bodyLimit">Bytes read of each body.</param>
    public async Task<IReadOnlyList<KeptLetter>> ListAsync(
        string? queue, string? reason, (DateTime DiedAt, Guid Id)? after, int limit, int bodyLimit, CancellationToken cancellationToken)
    {
        await using var command = _dataSource.CreateCommand(
            $"""
            SELECT {Columns} FROM messaging.dead
            WHERE ($2::text IS NULL OR queue = $2) AND ($3::text IS NULL OR reason = $3) AND ($4::timestamptz IS NULL OR (died_at, id) < ($4, $5))
            ORDER BY died_at DESC, id DESC LIMIT $6
            """);
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = bodyLimit });
        command.Parameters.Add(Text(queue));
        command.Parameters.Add(Text(reason));
        command.Parameters.Add(new NpgsqlParameter { NpgsqlDbType = NpgsqlDbType.TimestampTz, Value = (object?)after?.DiedAt ?? DBNull.Value });
        command.Parameters.Add(new NpgsqlParameter<Guid> { TypedValue = after?.Id ?? Guid.Empty });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = limit });
        return await ReadAsync(command, cancellationToken);
    }

    public async Task<KeptLetter?> FindAsync(Guid id, int bodyLimit, CancellationToken cancellationToken)
    {
        await using var command = _dataSource.CreateCommand($"SELECT {Columns} FROM messaging.dead WHERE id = $2");
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = bodyLimit });
        command.Parameters.Add(new NpgsqlParameter<Guid> { TypedValue = id });
        return (await ReadAsync(command, cancellationToken)).SingleOrDefault();
    }

    /// <summary>
    /// Moves it back to the outbox, to where it was on its way, under its message id: who had it already drops it as a twin. A consumer
    /// that failed has rolled back its inbox row, so it gets the message again.
    /// </summary>
    /// <returns>Null: there is no such dead letter, or somebody has requeued it.</returns>
    public async Task<RequeuedLetter?> RequeueAsync(Guid id, CancellationToken cancellationToken)
    {
        await using var connection = await _dataSource.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        if (await TakeAsync(connection, id, cancellationToken) is not { } message)
            return null;
        await OutboxTable.WriteAsync(connection, [], [message], cancellationToken);
        await transaction.CommitAsync(cancellationToken);

        Telemetry.Requeued.Add(1);
        LogRequeued(id, message.Destination, message.MessageId);
        _wakeUp.Everywhere();
        return new RequeuedLetter(id, message.MessageId, message.Destination);
    }

    async Task<OutboxMessage?> TakeAsync(NpgsqlConnection connection, Guid id, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            "DELETE FROM messaging.dead WHERE id = $1 RETURNING queue, reason, message_id, message_type, content_type, headers, body, group_key", connection)
        {
            Parameters = { new NpgsqlParameter<Guid> { TypedValue = id } },
        };
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        if (!await reader.ReadAsync(cancellationToken))
            return null;

        var (queue, headers) = (reader.GetString(0), await reader.IsDBNullAsync(5, cancellationToken) ? null : reader.GetString(5));
        // What died in the outbox has its address and headers as they were there; what died at a queue has those of the transport.
        var isOurs = reader.GetString(1) == Unsendable;
        var now = _clock.GetUtcNow().UtcDateTime;
        return new OutboxMessage
        {
            Id = NewId.NextSequentialGuid(),
            // One that came without an id is known by this from now on, whoever requeues it again.
            MessageId = await reader.IsDBNullAsync(2, cancellationToken) ? id : reader.GetGuid(2),
            Destination = isOurs ? queue : QueueAddress.Of(queue).ToString(),
            MessageType = reader.GetString(3),
            ContentType = reader.GetString(4) is { Length: > 0 } type ? type : MediaTypeNames.Application.Json,
            Headers = isOurs ? headers : FromTransport(headers),
            Body = await reader.GetFieldValueAsync<byte[]>(6, cancellationToken),
            SentAt = now,
            // Due at once, and no sender has it in memory.
            DueAt = now,
            GroupKey = await reader.IsDBNullAsync(7, cancellationToken) ? null : reader.GetString(7),
        };
    }

    static string FromTransport(string? headers)
    {
        var received = headers is null ? [] : JsonSerializer.Deserialize<Dictionary<string, object>>(headers)!;
        // What the transport says of a delivery is not the message's.
        foreach (var name in received.Keys.Where(n => n.StartsWith("MT-Fault", StringComparison.Ordinal) || n is "MT-Reason" or "Content-Type" or "x-delivery-count").ToList())
            received.Remove(name);
        return new OutboxHeaders(received, null, null, null, null, null, null, null, null).ToJson();
    }

    // What is cut off is not read: a page of large letters takes no more memory than one of small ones.
    const string Columns =
        "id, died_at, queue, reason, message_id, message_type, content_type, attempts, error, stack, octet_length(body), substring(body FOR $1)";

    static async Task<List<KeptLetter>> ReadAsync(NpgsqlCommand command, CancellationToken cancellationToken)
    {
        var letters = new List<KeptLetter>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            letters.Add(new KeptLetter(
                reader.GetGuid(0), reader.GetDateTime(1), reader.GetString(2), reader.GetString(3),
                await reader.IsDBNullAsync(4, cancellationToken) ? null : reader.GetGuid(4),
                reader.GetString(5).Split(';', StringSplitOptions.RemoveEmptyEntries), reader.GetString(6), reader.GetInt32(7),
                await reader.IsDBNullAsync(8, cancellationToken) ? null : reader.GetString(8),
                await reader.IsDBNullAsync(9, cancellationToken) ? null : reader.GetString(9), reader.GetInt32(10),
                await reader.GetFieldValueAsync<byte[]>(11, cancellationToken)));
        }

        return letters;
    }

    static NpgsqlParameter Text(string? value) => new() { NpgsqlDbType = NpgsqlDbType.Text, Value = (object?)value ?? DBNull.Value };
}

/// <summary>A message that was given up.</summary>
/// <param name="Queue">Where it died. For one that could not be sent, where it was to go.</param>
/// <param name="Reason">
/// <c>error</c>: its consumer threw. <c>skipped</c>: nothing on the queue knew it. <c>refused</c>: it came from outside and is wrong in itself.
/// <c>unsendable</c>: it never left the outbox.
/// </param>
/// <param name="Attempts">Counted tries to send it.</param>
/// <param name="BodyBytes">Of the whole body.</param>
/// <param name="BodyStart">As much of it as was asked for.</param>
public sealed record KeptLetter(
    Guid Id,
    DateTime DiedAt,
    string Queue,
    string Reason,
    Guid? MessageId,
    IReadOnlyList<string> MessageTypes,
    string ContentType,
    int Attempts,
    string? Error,
    string? Stack,
    int BodyBytes,
    byte[] BodyStart);

/// <summary>It is on its way again.</summary>
public sealed record RequeuedLetter(Guid Id, Guid MessageId, string Destination);
