using System.Text.Json;
using System.Text.Json.Serialization;

namespace Messaging.Postgres.Outbox;

/// <summary>A row of <c>messaging.outbox</c>: a serialized message and where it goes.</summary>
sealed class OutboxMessage
{
    public required Guid Id { get; init; }

    /// <summary>Kept on every send: the receiver's inbox drops the twin by it.</summary>
    public required Guid MessageId { get; init; }
    public required string Destination { get; init; }

    /// <summary>URNs separated by <c>;</c>, the most specific first.</summary>
    public required string MessageType { get; init; }
    public required string ContentType { get; init; }
    public string? Headers { get; init; }
    public required byte[] Body { get; init; }
    public required DateTime SentAt { get; init; }
    public DateTime? ExpiresAt { get; init; }

    /// <summary>Null leaves it to the column's default, the lease of a new row.</summary>
    public DateTime? VisibleAt { get; set; }
    public DateTime? DueAt { get; init; }
    public Guid? TokenId { get; init; }
    public string? GroupKey { get; init; }
    public int Attempts { get; init; }
    public string? LastError { get; init; }
}

/// <summary>What a transport wants to know of a message besides its body.</summary>
sealed record OutboxHeaders(
    Dictionary<string, object>? Headers,
    Dictionary<string, object>? Properties,
    Guid? RequestId,
    Guid? ConversationId,
    Guid? CorrelationId,
    Guid? InitiatorId,
    Uri? SourceAddress,
    Uri? ResponseAddress,
    Uri? FaultAddress,
    bool? Published = null)
{
    static readonly JsonSerializerOptions Options = new(JsonSerializerDefaults.Web)
    {
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        Converters = { new PlainValues() },
    };

    public string ToJson() => JsonSerializer.Serialize(this, Options);

    public static OutboxHeaders? FromJson(string? json) => json is null ? null : JsonSerializer.Deserialize<OutboxHeaders>(json, Options);

    sealed class PlainValues : JsonConverter<object>
    {
        // Transports know text, numbers and truth, and pass over what is a piece of JSON.
        public override object? Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) => reader.TokenType switch
        {
            JsonTokenType.String => reader.GetString(),
            JsonTokenType.True => true,
            JsonTokenType.False => false,
            JsonTokenType.Number => reader.TryGetInt64(out var whole) ? whole : reader.GetDouble(),
            _ => JsonElement.ParseValue(ref reader),
        };

        public override void Write(Utf8JsonWriter writer, object value, JsonSerializerOptions options) =>
            JsonSerializer.Serialize(writer, value, value.GetType());
    }
}
