using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Api.BatchInference;

/// <summary>One poller per watched job, shared by its viewers; it lives as long as one of them looks, or the job runs.</summary>
sealed class JobFeeds(
    IServiceScopeFactory scopes, TimeProvider clock, IOptions<BatchInferenceApiOptions> options, IHostApplicationLifetime lifetime, ILogger<JobFeed> logger)
{
    readonly Lock _gate = new();
    readonly Dictionary<Guid, JobFeed> _feeds = [];

    public int Count
    {
        get
        {
            lock (_gate)
                return _feeds.Count;
        }
    }

    /// <summary>Progress now and at each poll, until the job's end, which is the last item.</summary>
    public async IAsyncEnumerable<JobProgress> FollowAsync(string tenant, Guid id, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var (feed, viewer) = Join(tenant, id);
        try
        {
            await foreach (var progress in viewer.Reader.ReadAllAsync(cancellationToken))
                yield return progress;
        }
        finally
        {
            Leave(feed, viewer);
        }
    }

    (JobFeed Feed, Channel<JobProgress> Viewer) Join(string tenant, Guid id)
    {
        lock (_gate)
        {
            if (!_feeds.TryGetValue(id, out var feed))
            {
                _feeds[id] = feed = new JobFeed(tenant, id, scopes, clock, options.Value.ProgressPoll, logger);
                _ = RunAsync(feed);
            }

            return (feed, feed.Add());
        }
    }

    void Leave(JobFeed feed, Channel<JobProgress> viewer)
    {
        lock (_gate)
        {
            if (feed.Remove(viewer) == 0 && Forget(feed))
                feed.Stop();
        }
    }

    async Task RunAsync(JobFeed feed)
    {
        await Task.Yield();
        await feed.RunAsync(lifetime.ApplicationStopping);
        lock (_gate)
        {
            Forget(feed);
            feed.Complete();
            feed.Dispose();
        }
    }

    // A viewer may have come back to a newer feed of the same job meanwhile: that one stays.
    bool Forget(JobFeed feed) => _feeds.TryGetValue(feed.Id, out var current) && current == feed && _feeds.Remove(feed.Id);
}
