using Npgsql;
using NpgsqlTypes;

namespace Messaging.Postgres;

/// <summary>Many values for one statement, whose text stays the same however many they are.</summary>
static class ArrayParameter
{
    public static NpgsqlParameter Of<T>(NpgsqlDbType element, T[] values) => new() { NpgsqlDbType = NpgsqlDbType.Array | element, Value = values };
}
