namespace Messaging.Postgres.Outbox;

static class Pause
{
    /// <summary>Waits 0.25 s to 4 s, longer with each try and never in step with other nodes. Returns early, without an error, when cancelled.</summary>
    public static async Task AfterOutageAsync(TimeProvider clock, int tries, CancellationToken cancellationToken)
    {
        var delay = TimeSpan.FromSeconds(Math.Min(0.25 * Math.Pow(2, tries), 4)) * (0.5 + Random.Shared.NextDouble() / 2);
        await Task.Delay(delay, clock, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }
}
