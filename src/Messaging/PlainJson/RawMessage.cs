namespace Messaging.PlainJson;

/// <summary>A message as it came: nobody has looked into it yet.</summary>
/// <param name="MessageId">As its sender wrote it, which need not be a UUID; null when it wrote none.</param>
public sealed record RawMessage(byte[] Body, string? MessageId);
