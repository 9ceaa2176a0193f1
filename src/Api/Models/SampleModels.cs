using Api.Security;
using Contracts;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Sagas.Persistence;

namespace Api.Models;

/// <summary>Registers the models of a folder when the host starts. Those that are there already stay as they are.</summary>
sealed partial class SampleModels(IServiceScopeFactory scopes, IOptions<ApiOptions> options, IOptions<TenancyOptions> tenancy, TimeProvider clock, ILogger<SampleModels> logger) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (options.Value.SampleModels is not { Length: > 0 } folder)
            return;
        // Neither the database nor a worker need be up yet.
        using var timer = new PeriodicTimer(TimeSpan.FromSeconds(1), clock);
        foreach (var model in Directory.GetDirectories(folder).Order(StringComparer.Ordinal))
            while (!await TryRegisterAsync(Path.GetFileName(model), Path.Join(model, "model.onnx"), stoppingToken))
                await timer.WaitForNextTickAsync(stoppingToken);
    }

    /// <returns>False when it is worth trying again.</returns>
    async Task<bool> TryRegisterAsync(string name, string path, CancellationToken cancellationToken)
    {
        if (!File.Exists(path))
            return true;
        try
        {
            var platform = Caller.Platform(tenancy.Value.Home);
            await using var scope = scopes.CreateAsyncScope();
            scope.ServiceProvider.GetRequiredService<DataScope>().See(platform.Tenant);
            await using var content = File.OpenRead(path);
            using var file = await scope.ServiceProvider.GetRequiredService<ModelFiles>().TakeAsync(platform.Tenant, content, name, cancellationToken);
            await scope.ServiceProvider.GetRequiredService<ModelRegistration>().RegisterAsync(platform, name, null, file, null, cancellationToken);
            return true;
        }
        catch (FailureException e) when (!e.IsTransient)
        {
            LogRefused(e, name);
            return true;
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            LogPostponed(e, name);
            return false;
        }
    }
}
