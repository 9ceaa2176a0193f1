using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Sagas.Persistence;

namespace Api.Requests;

/// <summary>Forgets answers that nobody may ask for any more.</summary>
sealed partial class IdempotencyExpiry(IServiceScopeFactory scopes, TimeProvider clock, ILogger<IdempotencyExpiry> logger) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromHours(1), clock);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            try
            {
                await using var scope = scopes.CreateAsyncScope();
                var oldest = clock.GetUtcNow() - Idempotency.Kept;
                await scope.ServiceProvider.GetRequiredService<PlatformDbContext>()
                    .IdempotentRequests.Where(r => r.CreatedAt < oldest).ExecuteDeleteAsync(stoppingToken);
            }
            catch (Exception e) when (!stoppingToken.IsCancellationRequested)
            {
                LogPostponed(e);
            }
        }
    }
}
