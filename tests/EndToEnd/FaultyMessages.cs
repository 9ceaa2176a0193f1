using Messaging.FaultInjection;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Support;

[assembly: HostingStartup(typeof(EndToEnd.FaultyMessages))]

namespace EndToEnd;

/// <summary>Brings the fault injector into a Standalone: ASP.NET Core loads this assembly into it when the environment names it.</summary>
public sealed class FaultyMessages : IHostingStartup
{
    /// <summary>Said at a clean end: how many messages came twice, late, out of order, not at all.</summary>
    public const string Announcement = "Faults: ";

    const string Section = "Faults";

    /// <summary>The platform as it is, but with a bad network and short waits.</summary>
    public static StandaloneLaunch Launch(string dataFolder, int seed) => HostingStartupLaunch.Of(dataFolder) with
    {
        Arguments =
        [
            $"--{Section}:Seed={seed}", $"--{Section}:Twice=0.15", $"--{Section}:Late=0.15", $"--{Section}:Reordered=0.1", $"--{Section}:Lost=0.05",
            // A lost message is waited for, several times a job: seconds instead of minutes.
            "--WorkLedger:DispatchLease=00:00:03", "--WorkLedger:RunLease=00:00:07", "--WorkLedger:ReaperGrace=00:00:01",
            "--BatchInference:Saga:StepTimeout=00:00:02",
        ],
    };

    public void Configure(IWebHostBuilder builder) => builder.ConfigureServices((host, services) =>
    {
        if (!host.Configuration.GetSection(Section).Exists())
            return;
        services.AddFaultInjection(faults =>
        {
            host.Configuration.GetSection(Section).Bind(faults);
            // A request that waits for its answer in memory is not the pipeline's: who asked asks again.
            faults.Applies = message => !message.Contains("Model", StringComparison.Ordinal);
        });
        services.AddHostedService<Account>();
    });

    sealed class Account(FaultInjector faults) : IHostedService
    {
        public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken)
        {
            Console.WriteLine($"{Announcement}{faults.Twice} {faults.Late} {faults.Reordered} {faults.Lost}");
            return Task.CompletedTask;
        }
    }
}
