using Microsoft.EntityFrameworkCore;

namespace Sagas.Persistence;

/// <summary>
/// Whose rows a dependency scope may see. A scope that says nothing is the platform's own work and sees all. A request's scope sees
/// nobody's rows from its first moment, and its caller's once it is known who that is.
/// </summary>
public sealed class DataScope(IDbContextFactory<PlatformDbContext> platform, IDbContextFactory<TenantDbContext> tenants)
{
    const string Nobody = "";

    string? _tenant;
    bool _isOpen;

    /// <summary>From here on the scope sees no rows.</summary>
    public void SeeNothing() => See(Nobody);

    /// <summary>From here on the scope sees this tenant's rows alone.</summary>
    /// <exception cref="InvalidOperationException">The scope's DbContext is in use already.</exception>
    public void See(string tenant)
    {
        if (_isOpen)
            throw new InvalidOperationException("Say whose rows a scope sees before its first query.");
        _tenant = tenant;
    }

    internal PlatformDbContext Open()
    {
        _isOpen = true;
        if (_tenant is null)
            return platform.CreateDbContext();
        var db = tenants.CreateDbContext();
        db.Tenant = _tenant;
        // What is saved needs a transaction to say in whose name.
        db.Database.AutoTransactionBehavior = AutoTransactionBehavior.Always;
        return db;
    }
}
