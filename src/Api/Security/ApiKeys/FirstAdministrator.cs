using System.Data.Common;
using Api.Security.Audit;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Sagas.Persistence;

namespace Api.Security.ApiKeys;

/// <summary>
/// Makes the first administrator's key, whichever of several hosts is first, and tells it once: before the commit, so that a key that
/// works has been told. A key whose commit failed is told too, and never works.
/// </summary>
sealed partial class FirstAdministrator(
    IServiceScopeFactory scopes, IOptions<ApiKeyOptions> options, IOptions<TenancyOptions> tenancy, TimeProvider clock, ILogger<FirstAdministrator> logger)
    : BackgroundService
{
    const long Lock = 0x5A6A_0004;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (!options.Value.Enabled)
            return;
        // Neither the database nor its tables need be there yet.
        using var timer = new PeriodicTimer(TimeSpan.FromSeconds(1), clock);
        while (!await TryAsync(stoppingToken))
            await timer.WaitForNextTickAsync(stoppingToken);
    }

    async Task<bool> TryAsync(CancellationToken cancellationToken)
    {
        try
        {
            await MakeAsync(cancellationToken);
            return true;
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested && e is DbException or DbUpdateException or InvalidOperationException)
        {
            LogPostponed(e.Message);
            return false;
        }
    }

    async Task MakeAsync(CancellationToken cancellationToken)
    {
        var home = tenancy.Value.Home;
        var platform = Caller.Platform(home);
        await using var scope = scopes.CreateAsyncScope();
        scope.ServiceProvider.GetRequiredService<DataScope>().See(home);
        var db = scope.ServiceProvider.GetRequiredService<PlatformDbContext>();
        await using var transaction = await db.Database.BeginTransactionAsync(cancellationToken);
        await db.Database.ExecuteSqlAsync($"SELECT pg_advisory_xact_lock({Lock})", cancellationToken);
        var admin = ApiKeyScopes.Of(Role.Admin);
        if (!options.Value.NewAdministrator && await db.ApiKeys.AnyAsync(k => k.Scopes.Contains(admin), cancellationToken))
            return;
        var (row, text) = db.AddApiKey(home, "first administrator", [admin], platform.Id, clock.GetUtcNow(), TimeSpan.FromDays(options.Value.MaxDays));
        await db.SaveChangesAsync(cancellationToken);
        await db.AuditAsync(new AuditAction(platform, "api-key.create", row.Id, "The first administrator's key."), cancellationToken);
        await TellAsync(home, text, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
    }

    // Not by the logger: what is logged goes to places where a key must not be.
    async Task TellAsync(string home, string key, CancellationToken cancellationToken)
    {
        if (options.Value.AdministratorKeyFile is not { Length: > 0 } file)
        {
            await Console.Out.WriteLineAsync($"Administrator's key of tenant {home}, shown this once: {key}");
            await Console.Out.FlushAsync(cancellationToken);
            return;
        }

        var create = new FileStreamOptions
        {
            Mode = FileMode.Create,
            Access = FileAccess.Write,
            UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
        };
        await using (var writer = new StreamWriter(file, create))
            await writer.WriteLineAsync(key);
        LogWritten(home, file);
    }

    [LoggerMessage(LogLevel.Debug, "The first administrator's key is not made yet: {Reason}")]
    partial void LogPostponed(string reason);

    [LoggerMessage(LogLevel.Warning, "The administrator's key of tenant {Tenant} is in {File}: take it and delete the file")]
    partial void LogWritten(string tenant, string file);
}
