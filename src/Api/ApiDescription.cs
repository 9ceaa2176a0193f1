using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.OpenApi;

namespace Api;

/// <summary>How answers are written, and how the API describes itself.</summary>
static class ApiDescription
{
    public static void Configure(JsonSerializerOptions json)
    {
        json.DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull;
        json.Converters.Add(new JsonStringEnumConverter());
    }

    public static void Configure(OpenApiOptions options) =>
        options.AddDocumentTransformer((document, _, _) =>
        {
            document.Info.Title = "Sagas";
            document.Info.Version = "v1";
            document.Info.Description = "Batch inference on tables with ONNX models. Errors are problem details (RFC 9457) with a stable code; "
                + "each bad field of a request is named in errors. A POST that starts something takes an Idempotency-Key.";
            // Where the document was asked from is where the API is.
            document.Servers = [];
            return Task.CompletedTask;
        });
}
