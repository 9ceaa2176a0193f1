namespace Sagas.Persistence;

/// <summary>
/// PostgreSQL's roles of one installation, named after its database, so that several share a server without sharing rights. They are
/// made with the tables. Nobody logs in as one: the platform's login is a member of both and takes one at each connection.
/// </summary>
/// <param name="System">Owns the tables and sees every row: sagas, consumers, the outbox.</param>
/// <param name="Tenant">Sees the rows of the tenant that its transaction names, and none when it names none. It cannot bypass that.</param>
public sealed record PlatformRoles(string System, string Tenant)
{
    // PostgreSQL cuts names after 63 bytes.
    const int LongestDatabase = 56;

    /// <exception cref="ArgumentException">The name is too long.</exception>
    public static PlatformRoles Of(string database) => global::System.Text.Encoding.UTF8.GetByteCount(database) <= LongestDatabase
        ? new PlatformRoles($"{database}_system", $"{database}_tenant")
        : throw new ArgumentException($"The database's name {database} is longer than {LongestDatabase} bytes: the names of its roles are made from it.");
}
