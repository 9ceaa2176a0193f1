using System.Reflection;
using System.Security.Cryptography;
using Api.Edge;
using Contracts;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Metadata;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace Api.Requests;

/// <summary>
/// A handler's parameter: the body as <typeparamref name="T"/>, with everything that is wrong with its form in <see cref="Errors"/>.
/// No body at all reads as an empty object.
/// </summary>
sealed class JsonBody<T> : IEndpointParameterMetadataProvider where T : class
{
    public required T Value { get; init; }

    /// <summary>Of the bytes as received: tells whether a repeated Idempotency-Key came with the same request.</summary>
    public required string Sha256 { get; init; }

    public required FieldErrors Errors { get; init; }

    public static async ValueTask<JsonBody<T>?> BindAsync(HttpContext context, ParameterInfo parameter) => await ReadAsync(context);

    public static async Task<JsonBody<T>> ReadAsync(HttpContext context)
    {
        var most = context.RequestServices.GetRequiredService<IOptions<LimitOptions>>().Value.BodyBytes;
        var body = await ReadBytesAsync(context.Request, most, context.RequestAborted);
        var errors = new FieldErrors();
        return new JsonBody<T>
        {
            Value = StrictJson.Read<T>(body.Length == 0 ? "{}"u8.ToArray() : body, errors),
            Sha256 = Convert.ToHexStringLower(SHA256.HashData(body)),
            Errors = errors,
        };
    }

    public static void PopulateMetadata(ParameterInfo parameter, EndpointBuilder builder) =>
        builder.Metadata.Add(new AcceptsMetadata(["application/json"], typeof(T), isOptional: true));

    static async Task<byte[]> ReadBytesAsync(HttpRequest request, long most, CancellationToken cancellationToken)
    {
        if (request.ContentLength > most)
            throw TooLarge(most);
        using var body = new MemoryStream();
        var buffer = new byte[16 * 1024];
        while (await request.Body.ReadAsync(buffer, cancellationToken) is > 0 and var read)
        {
            body.Write(buffer, 0, read);
            if (body.Length > most)
                throw TooLarge(most);
        }

        return body.ToArray();
    }

    static FailureException TooLarge(long most) => new("body_too_large", $"The body is larger than {most} bytes.");
}
