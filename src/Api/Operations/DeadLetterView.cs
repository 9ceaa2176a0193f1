using System.Buffers;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;
using Messaging.Postgres.DeadLetters;

namespace Api.Operations;

/// <summary>A message that was given up.</summary>
/// <param name="Queue">Where it died. For one that could not be sent, where it was to go.</param>
/// <param name="Reason"><c>error</c>: its consumer failed. <c>skipped</c>: nobody on the queue knew it. <c>refused</c>: it came from outside and is wrong in itself. <c>unsendable</c>: it never left.</param>
/// <param name="MessageTypes">The most specific first; empty when the message could not be read.</param>
/// <param name="Attempts">Tries to send it that were counted.</param>
/// <param name="BodyBytes">Size of the whole body.</param>
/// <param name="Body">When it is JSON and not too large.</param>
/// <param name="BodyText">When it is text but not JSON, or too large: its beginning. Neither is there when it is no text.</param>
public sealed record DeadLetterView(
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
    JsonElement? Body,
    string? BodyText)
{
    // An answer nests it some levels deeper, and may not nest more than 64.
    static readonly JsonDocumentOptions Shallow = new() { MaxDepth = 48 };

    internal static DeadLetterView Of(KeptLetter letter)
    {
        var json = letter.BodyStart.Length == letter.BodyBytes ? ReadJson(letter.BodyStart) : null;
        return new DeadLetterView(
            letter.Id, letter.DiedAt, letter.Queue, letter.Reason, letter.MessageId, letter.MessageTypes, letter.ContentType, letter.Attempts,
            letter.Error, letter.Stack, letter.BodyBytes, json, json is null ? ReadText(letter.BodyStart) : null);
    }

    static JsonElement? ReadJson(byte[] body)
    {
        try
        {
            using var document = JsonDocument.Parse(body, Shallow);
            // Half a surrogate pair, escaped, can be parsed but not written.
            using var writer = new Utf8JsonWriter(new ArrayBufferWriter<byte>());
            document.RootElement.WriteTo(writer);
            return document.RootElement.Clone();
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException or ArgumentException)
        {
            return null;
        }
    }

    static string? ReadText(byte[] body)
    {
        // The limit may have cut a character: up to three bytes of it.
        for (var length = body.Length; length >= Math.Max(0, body.Length - 3); length--)
        {
            if (!Utf8.IsValid(body.AsSpan(0, length)))
                continue;
            var text = Encoding.UTF8.GetString(body, 0, length);
            return text.Any(c => char.IsControl(c) && c is not ('\r' or '\n' or '\t')) ? null : text;
        }

        return null;
    }
}
