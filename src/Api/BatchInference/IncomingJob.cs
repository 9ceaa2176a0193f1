using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Api.Requests;
using Contracts;
using Messaging.PlainJson;

namespace Api.BatchInference;

/// <summary>A request as a message brings it: plain JSON, or the same fields in MassTransit's envelope.</summary>
/// <param name="Tenant">Whose job it is; null when a message that must say so does not.</param>
/// <param name="Reference">What its sender calls the job: the body's jobId, else the message's own id. Null: it has no name.</param>
/// <param name="Sha256">Of what is asked, however it is written: tells whether the same name came with the same request.</param>
/// <param name="Errors">What is wrong with its form; never asked for in vain, for a request with errors starts nothing.</param>
sealed record IncomingJob(SubmitBatchJobRequest Request, string? Tenant, string? Reference, string Sha256, FieldErrors Errors)
{
    const int LongestReference = 200;

    /// <param name="tenant">Whose every message is that comes this way; null: each says it itself.</param>
    /// <exception cref="FailureException">It is no request at all.</exception>
    public static IncomingJob Read(RawMessage message, string? tenant, BatchInferenceApiOptions limits) =>
        message.Body.Length > limits.MaxMessageBytes
            ? throw new FailureException("body_too_large", $"The message has {message.Body.Length} bytes; {limits.MaxMessageBytes} are allowed.")
            : StrictJson.Parse(message.Body, limits.MaxMessageDepth, root => Read(root, message.MessageId, tenant));

    static IncomingJob Read(JsonElement root, string? messageId, string? tenant)
    {
        var request = root;
        if (Envelope(root) is { } envelope)
            (request, messageId) = envelope;

        var errors = new FieldErrors();
        var order = tenant is null ? StrictJson.Read<TrustedBatchJobOrder>(request, errors) : StrictJson.Read<BatchJobOrder>(request, errors);
        tenant ??= TenantOf((TrustedBatchJobOrder)order, errors);
        var (reference, field) = order.JobId is null ? (messageId, "message_id") : (order.JobId, "jobId");
        if (reference is not null && !IsReference(reference))
        {
            errors.Add(field, "invalid_text", $"Must be 1 to {LongestReference} visible characters.");
            reference = null;
        }

        // Not the tenant: whichever way it comes, the same request of a tenant is the same.
        var asked = Encoding.UTF8.GetBytes(WireJson.Write<BatchJobOrder>(order with { JobId = null }));
        return new IncomingJob(order, tenant, reference, Convert.ToHexStringLower(SHA256.HashData(asked)), errors);
    }

    static string? TenantOf(TrustedBatchJobOrder order, FieldErrors errors)
    {
        // Given twice, neither is believed.
        if (errors.Has("tenant"))
            return null;
        if (order.Tenant is { } tenant && TenantName.IsValid(tenant))
            return tenant;
        if (order.Tenant is null)
            errors.Add("tenant", "field_missing", "Say whose job it is: on this queue each message does.");
        else
            errors.Add("tenant", "name_invalid", $"Must be {TenantName.Rule}.");
        return null;
    }

    /// <summary>The id of the job that a sender of this tenant calls so.</summary>
    public static Guid IdOf(string tenant, string reference) =>
        Guid.TryParseExact(reference, "D", out var id) && id != Guid.Empty ? id : NamedGuid.Of($"{tenant}\n{reference}");

    public static bool IsReference(string text) => text.Length is >= 1 and <= LongestReference && !text.Any(c => char.IsControl(c) || char.IsWhiteSpace(c));

    // No request has fields of these names.
    static (JsonElement Message, string? MessageId)? Envelope(JsonElement root)
    {
        if (!root.TryGetProperty("messageType", out _) || !root.TryGetProperty("message", out var message))
            return null;
        if (message.ValueKind != JsonValueKind.Object)
            throw new FailureException("malformed_json", "The envelope's message must be a JSON object.");
        return (message, root.TryGetProperty("messageId", out var id) && id.ValueKind == JsonValueKind.String ? id.GetString() : null);
    }
}
