using System.Text.Json;
using Contracts;
using GpuWorker.Inference;

namespace GpuWorker.OnlineScoring;

/// <summary>Reads a request's body, which may be anything at all, into tensors for a model.</summary>
static class BodyReader
{
    // Of a tensor's nested lists, and what lies around them.
    const int MostLevels = 32;

    internal static JsonReaderOptions Json => new() { MaxDepth = MostLevels };

    /// <exception cref="FailureException">It is not one of the forms, or does not fit the model; every bad field is named, up to a number.</exception>
    internal static ScoringRequest Read(ReadOnlyMemory<byte> body, OnlineModel model, OnlineScoringOptions options)
    {
        try
        {
            return Form(body.Span) switch
            {
                BodyForm.Rows => RowsReader.ReadRows(body, model, options),
                BodyForm.Split => RowsReader.ReadSplit(body, model, options),
                _ => TensorsReader.Read(body, model, options),
            };
        }
        catch (JsonException e)
        {
            var isDeep = e.Message.Contains("maximum configured depth", StringComparison.Ordinal);
            throw isDeep
                ? new FailureException("json_too_deep", $"The body is nested more than {MostLevels} levels deep.")
                : new FailureException("malformed_json", $"The body is not JSON: line {e.LineNumber + 1}, byte {e.BytePositionInLine + 1}.");
        }
        catch (InvalidOperationException e) when (e.InnerException is System.Text.DecoderFallbackException)
        {
            throw new FailureException("invalid_text", "The body has text that is not UTF-8.");
        }
    }

    /// <summary>Behind the last member nothing may follow.</summary>
    /// <exception cref="JsonException">Something does.</exception>
    internal static void End(ref Utf8JsonReader reader)
    {
        while (reader.Read())
        {
        }
    }

    // By the first name that says it: the rest of the body is read once, into its place.
    static BodyForm Form(ReadOnlySpan<byte> body)
    {
        var reader = new Utf8JsonReader(body, Json);
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
            throw Formless();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("data"u8))
                return BodyForm.Rows;
            if (reader.ValueTextEquals("input_data"u8))
                return BodyForm.Split;
            if (reader.ValueTextEquals("inputs"u8))
                return BodyForm.Tensors;
            reader.Read();
            reader.Skip();
        }
        throw Formless();
    }

    static FailureException Formless() => new("invalid_request",
        "Send rows as {\"data\":[{…}]}, a table as {\"input_data\":{\"columns\":[…],\"data\":[[…]]}}, or tensors as {\"inputs\":[{\"name\",\"shape\",\"datatype\",\"data\"}]}.");
}

/// <summary>Bad fields, up to so many that a person would still read them.</summary>
sealed class BadFields
{
    const int Most = 20;

    readonly List<FieldFailure> fields = [];

    internal bool IsFull => fields.Count >= Most;

    internal void Add(string field, string code, string message)
    {
        if (!IsFull)
            fields.Add(new FieldFailure(field, code, message));
    }

    internal void ThrowIfAny()
    {
        if (fields is [var first, ..])
            throw new FailureException(first.Code, fields.Count == 1 ? first.Message : $"{fields.Count}{(IsFull ? " or more" : "")} values cannot be used; see errors.", [.. fields]);
    }
}
