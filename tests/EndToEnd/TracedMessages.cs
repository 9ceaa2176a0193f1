using System.Diagnostics;
using Microsoft.AspNetCore.Hosting;
using Support;

[assembly: HostingStartup(typeof(EndToEnd.TracedMessages))]

namespace EndToEnd;

/// <summary>Brings a listener for traces into a Standalone, which says for each message consumed whose trace it was in.</summary>
public sealed class TracedMessages : IHostingStartup
{
    public const string Announcement = "Consumed in trace ";

    const string Wanted = "SAGAS_TEST_TRACES";

    /// <param name="recorded">False: as an exporter that samples nothing.</param>
    public static StandaloneLaunch Launch(string dataFolder, bool recorded) => HostingStartupLaunch.Of(dataFolder) with
    {
        Environment = new Dictionary<string, string>(HostingStartupLaunch.Environment) { [Wanted] = recorded ? "recorded" : "carried" },
    };

    public void Configure(IWebHostBuilder builder)
    {
        if (Environment.GetEnvironmentVariable(Wanted) is not { } wanted)
            return;
        var sampling = wanted == "recorded" ? ActivitySamplingResult.AllDataAndRecorded : ActivitySamplingResult.PropagationData;
        ActivitySource.AddActivityListener(new ActivityListener
        {
            ShouldListenTo = source => source.Name is "MassTransit" or "Microsoft.AspNetCore" or "Sagas.Messaging",
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => sampling,
            ActivityStopped = activity =>
            {
                if (activity.Source.Name == "MassTransit" && activity.Kind == ActivityKind.Consumer)
                    Console.WriteLine($"{Announcement}{activity.TraceId} {activity.DisplayName}");
            },
        });
    }
}
