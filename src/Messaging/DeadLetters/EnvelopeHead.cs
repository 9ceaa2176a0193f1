using System.Text.Json;

namespace Messaging.DeadLetters;

/// <summary>As much of MassTransit's envelope as tells which message it is.</summary>
static class EnvelopeHead
{
    public static (Guid? MessageId, IReadOnlyList<string> Types) Read(byte[] body)
    {
        try
        {
            var envelope = JsonSerializer.Deserialize<Envelope>(body, JsonSerializerOptions.Web);
            return (Guid.TryParse(envelope?.MessageId, out var id) ? id : null, envelope?.MessageType ?? []);
        }
        catch (JsonException)
        {
            return (null, []);
        }
    }

    sealed record Envelope(string? MessageId, string[]? MessageType);
}
