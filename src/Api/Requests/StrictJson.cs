using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using System.Text.Unicode;
using Contracts;

namespace Api.Requests;

/// <summary>
/// Reads a body and names everything wrong with it: unknown and repeated fields, wrong types. What was good is read all the same,
/// so that its values can be judged in the same answer. All properties of a request record must allow null.
/// </summary>
static class StrictJson
{
    const int MaxDepth = 64;

    static readonly JsonSerializerOptions Options = new(JsonSerializerDefaults.Web)
    {
        NumberHandling = JsonNumberHandling.Strict,
        PropertyNameCaseInsensitive = false,
        TypeInfoResolver = new DefaultJsonTypeInfoResolver(),
    };

    public static T Read<T>(ReadOnlyMemory<byte> body, FieldErrors errors) where T : class =>
        Parse(body, MaxDepth, root => Read<T>(root, errors));

    public static T Read<T>(JsonElement element, FieldErrors errors) where T : class =>
        ReadObject(element, typeof(T), "", errors).Deserialize<T>(Options)!;

    /// <summary>Hands on the object that a body is, once its depth is known to be harmless.</summary>
    public static T Parse<T>(ReadOnlyMemory<byte> body, int maxDepth, Func<JsonElement, T> read)
    {
        try
        {
            CheckText(body.Span, maxDepth);
            using var document = JsonDocument.Parse(body);
            if (document.RootElement.ValueKind != JsonValueKind.Object)
                throw new FailureException("malformed_json", "The body must be a JSON object.");
            return read(document.RootElement);
        }
        catch (JsonException e)
        {
            throw Malformed($"The body is not JSON: it breaks off or goes wrong in line {e.LineNumber + 1}, at byte {e.BytePositionInLine + 1}.");
        }
        catch (InvalidOperationException)
        {
            // A half surrogate pair, written as an escape: JSON allows it, text does not.
            throw Malformed("The body holds a text that is not Unicode.");
        }
    }

    static void CheckText(ReadOnlySpan<byte> body, int maxDepth)
    {
        if (!Utf8.IsValid(body))
            throw Malformed("The body is not UTF-8.");
        var reader = new Utf8JsonReader(body, new JsonReaderOptions { MaxDepth = int.MaxValue });
        while (reader.Read())
            if (reader.CurrentDepth >= maxDepth && reader.TokenType is JsonTokenType.StartArray or JsonTokenType.StartObject)
                throw new FailureException("json_too_deep", $"The body is nested deeper than {maxDepth} levels.");
    }

    static JsonObject ReadObject(JsonElement element, Type type, string path, FieldErrors errors)
    {
        var known = Options.GetTypeInfo(type).Properties.ToDictionary(p => p.Name);
        var good = new JsonObject();
        var seen = new HashSet<string>();
        foreach (var property in element.EnumerateObject())
        {
            var field = path + property.Name;
            if (!seen.Add(property.Name))
                errors.Add(field, "duplicate_field", "Given twice.");
            else if (!known.TryGetValue(property.Name, out var target))
                errors.Add(field, "unknown_field", $"There is no such field. Known here: {string.Join(", ", known.Keys)}.");
            else if (property.Value.ValueKind != JsonValueKind.Null && ReadValue(property.Value, target.PropertyType, field, errors) is { } value)
                good[property.Name] = value;
        }

        return good;
    }

    static JsonNode? ReadValue(JsonElement element, Type type, string field, FieldErrors errors)
    {
        if (Options.GetTypeInfo(type).Kind == JsonTypeInfoKind.Object && element.ValueKind == JsonValueKind.Object)
            return ReadObject(element, type, field + ".", errors);

        if (type.IsAssignableTo(typeof(IEnumerable<string>)) && element.ValueKind == JsonValueKind.Array)
        {
            var items = element.EnumerateArray().Select((item, i) => ReadValue(item, typeof(string), $"{field}[{i}]", errors)).ToList();
            return items.Contains(null) ? null : new JsonArray([.. items]);
        }

        try
        {
            var value = element.Deserialize(type, Options);
            if (value is string text && text.Contains('\0'))
                errors.Add(field, "invalid_text", "Must not hold a NUL character.");
            else if (value is not null)
                return JsonSerializer.SerializeToNode(value, type, Options);
            else
                errors.Add(field, "wrong_type", $"Must be {Expected(type)}.");
        }
        catch (JsonException)
        {
            errors.Add(field, "wrong_type", $"Must be {Expected(type)}.");
        }

        return null;
    }

    static string Expected(Type type) => (Nullable.GetUnderlyingType(type) ?? type) switch
    {
        var t when t == typeof(string) => "a text",
        var t when t == typeof(int) => "a whole number of at most 32 bits",
        var t when t == typeof(long) => "a whole number of at most 64 bits",
        var t when t == typeof(double) => "a number",
        var t when t == typeof(bool) => "true or false",
        var t when t.IsAssignableTo(typeof(IEnumerable<string>)) => "a list of texts",
        _ => "an object",
    };

    static FailureException Malformed(string message) => new("malformed_json", message);
}
