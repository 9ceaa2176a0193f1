using Contracts;
using OpenTelemetry;
using OpenTelemetry.Logs;

namespace ServiceDefaults.Secrets;

/// <summary>Masks secrets in log records before they are sent away.</summary>
sealed class RedactingProcessor : BaseProcessor<LogRecord>
{
    public override void OnEnd(LogRecord data)
    {
        if (data.FormattedMessage is { } message)
            data.FormattedMessage = Redaction.Text(message);
        if (data.Body is { } body)
            data.Body = Redaction.Text(body);
        if (data.Attributes is { } attributes)
            data.Attributes = [.. attributes.Select(a => new KeyValuePair<string, object?>(a.Key, a.Value is null or bool or int or long or double ? a.Value : Redaction.Text($"{a.Value}")))];
        // Its text cannot be changed, so it goes as another.
        if (data.Exception is { } exception && exception.ToString() is var text && Redaction.Text(text) is var masked && !ReferenceEquals(text, masked) && text != masked)
            data.Exception = new MaskedException(masked);
    }

    sealed class MaskedException(string text) : Exception(text)
    {
        public override string ToString() => Message;
    }
}
