using System.Diagnostics.CodeAnalysis;
using System.Text;

namespace Messaging.Postgres.Outbox;

/// <summary>Text of others' making, as PostgreSQL can hold it: it takes neither NUL nor half a surrogate pair.</summary>
static class StorableText
{
    [return: NotNullIfNotNull(nameof(text))]
    public static string? Of(string? text) =>
        text is null ? null : Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text.Replace('\0', '\uFFFD')));
}
