using System.Text;
using Artifacts.Caching;
using Contracts;
using Microsoft.Win32.SafeHandles;

namespace Artifacts.Tests.Caching;

public sealed class ArtifactCacheTests : IDisposable
{
    readonly TemporaryFolder folder = new();
    readonly List<ArtifactCache> caches = [];

    public void Dispose()
    {
        foreach (var cache in caches)
            cache.Dispose();
        folder.Dispose();
    }

    // Each is what another process would have: locks are by open file, whoever opened it.
    ArtifactCache Open(long bytes = 100)
    {
        caches.Add(new ArtifactCache(folder.Path, bytes, TimeProvider.System));
        return caches[^1];
    }

    static Func<SafeFileHandle, CancellationToken, Task> Content(string text) => async (target, token) => await RandomAccess.WriteAsync(target, Encoding.UTF8.GetBytes(text), 0, token);

    static readonly Func<SafeFileHandle, CancellationToken, Task> Never = (_, _) => throw new InvalidOperationException("It is here already.");

    string[] Copies => [.. Directory.GetFiles(folder["files"]).Select(f => Path.GetFileName(f)).Order()];

    [Fact]
    public async Task A_copy_is_fetched_once_and_serves_every_process()
    {
        var (one, other) = (Open(), Open());
        using (var file = await one.LeaseAsync("a", 5, Content("hello"), CancellationToken.None))
            File.ReadAllText(file.Path).ShouldBe("hello");

        using var again = await other.LeaseAsync("a", 5, Never, CancellationToken.None);
        File.ReadAllText(again.Path).ShouldBe("hello");
        (await one.TryLeaseAsync("b", null, CancellationToken.None)).ShouldBeNull();
    }

    [Fact]
    public async Task Many_that_ask_at_once_in_two_processes_wait_for_one_fetch()
    {
        var (one, other) = (Open(), Open());
        var (fetches, go) = (0, new TaskCompletionSource());
        async Task Fill(SafeFileHandle target, CancellationToken token)
        {
            Interlocked.Increment(ref fetches);
            await go.Task;
            await Content("hello")(target, token);
        }

        var leases = Enumerable.Range(0, 20).Select(i => (i % 2 == 0 ? one : other).LeaseAsync("a", 5, Fill, CancellationToken.None)).ToArray();
        Copies.ShouldBeEmpty();
        go.SetResult();
        foreach (var lease in leases)
        {
            using var file = await lease;
            File.ReadAllText(file.Path).ShouldBe("hello");
        }

        fetches.ShouldBe(1);
        Directory.GetFiles(folder["fetching"]).ShouldBeEmpty();
        Directory.GetFiles(folder["locks"]).Select(f => Path.GetFileName(f)!).ShouldBe([".space"]);
    }

    [Fact]
    public async Task Room_is_made_from_what_was_least_recently_used_and_never_from_what_is_in_use()
    {
        var (cache, other) = (Open(), Open());
        var used = await cache.LeaseAsync("used", 40, Content("u"), CancellationToken.None);
        (await cache.LeaseAsync("old", 20, Content("o"), CancellationToken.None)).Dispose();
        (await cache.LeaseAsync("older", 20, Content("p"), CancellationToken.None)).Dispose();
        (await cache.LeaseAsync("old", 20, Never, CancellationToken.None)).Dispose();

        (await other.LeaseAsync("new", 30, Content("n"), CancellationToken.None)).Dispose();
        Copies.ShouldBe(["new", "old", "used"]);
        (await other.LeaseAsync("wide", 60, Content("w"), CancellationToken.None)).Dispose();
        Copies.ShouldBe(["used", "wide"]);

        used.Dispose();
        (await other.LeaseAsync("whole", 100, Content("w"), CancellationToken.None)).Dispose();
        Copies.ShouldBe(["whole"]);
    }

    [Fact]
    public async Task What_can_never_fit_is_refused_at_once()
    {
        (await Should.ThrowAsync<FailureException>(() => Open().LeaseAsync("large", 101, Never, CancellationToken.None))).Failure.Code.ShouldBe("artifacts_unavailable");
    }

    [Fact]
    public async Task A_fetch_that_fails_leaves_nothing_and_the_next_begins_anew()
    {
        var cache = Open();
        await Should.ThrowAsync<IOException>(() => cache.LeaseAsync("a", 5, async (target, token) =>
        {
            await Content("he")(target, token);
            throw new IOException("lost");
        }, CancellationToken.None));
        Copies.ShouldBeEmpty();
        Directory.GetFiles(folder["fetching"]).ShouldBeEmpty();

        using var file = await cache.LeaseAsync("a", 5, Content("hello"), CancellationToken.None);
        File.ReadAllText(file.Path).ShouldBe("hello");
    }

    [Fact]
    public async Task A_fetch_outlives_the_caller_that_gave_up()
    {
        var cache = Open();
        var go = new TaskCompletionSource();
        using var patience = new CancellationTokenSource();
        var given = cache.LeaseAsync("a", 5, async (target, token) =>
        {
            await go.Task;
            await Content("hello")(target, token);
        }, patience.Token);
        await patience.CancelAsync();
        await Should.ThrowAsync<OperationCanceledException>(() => given);

        var next = cache.LeaseAsync("a", 5, Never, CancellationToken.None);
        go.SetResult();
        using var file = await next;
        File.ReadAllText(file.Path).ShouldBe("hello");
    }

    [Fact]
    public async Task A_start_removes_what_the_dead_left_and_leaves_what_the_living_do()
    {
        var living = Open();
        var outgoing = living.NewOutgoing();
        File.WriteAllText(outgoing, "going");
        var go = new TaskCompletionSource();
        var fetch = living.LeaseAsync("a", 5, async (target, token) =>
        {
            await go.Task;
            await Content("hello")(target, token);
        }, CancellationToken.None);
        await Support.Eventually.TrueAsync(() => Task.FromResult(Directory.GetFiles(folder["fetching"]).Length == 1), "the fetch to begin");
        // As kill -9 leaves it: no lock on anything.
        File.WriteAllText(folder["fetching/dead.b"], "hal");
        folder.Write("outgoing/dead/x.tmp", "x");
        folder.Write("outgoing/dead/.lock", "");

        Open();

        File.Exists(folder["fetching/dead.b"]).ShouldBeFalse();
        Directory.Exists(folder["outgoing/dead"]).ShouldBeFalse();
        File.ReadAllText(outgoing).ShouldBe("going");
        go.SetResult();
        using var file = await fetch;
        File.ReadAllText(file.Path).ShouldBe("hello");
    }

    [Fact]
    public async Task A_copy_of_another_length_is_not_believed()
    {
        var cache = Open();
        File.WriteAllText(folder["files/a"], "hell");
        using var file = await cache.LeaseAsync("a", 5, Content("hello"), CancellationToken.None);
        File.ReadAllText(file.Path).ShouldBe("hello");
    }

    [Fact]
    public void A_file_with_a_further_name_is_known_to_be_gone_from_its_own()
    {
        folder.Write("a", "old");
        using var open = File.OpenHandle(folder["a"]);
        Posix.TryLink(folder["a"], folder["b"]).ShouldBeTrue();
        Posix.TryLink(folder["a"], folder["b"]).ShouldBeFalse();
        Posix.IsAt(open, folder["a"]).ShouldBeTrue();
        Posix.IsAt(open, folder["b"]).ShouldBeTrue();

        File.Delete(folder["a"]);
        Posix.IsAt(open, folder["a"]).ShouldBeFalse();
        folder.Write("a", "new");
        Posix.IsAt(open, folder["a"]).ShouldBeFalse();
        Posix.IsAt(open, folder["b"]).ShouldBeTrue();
    }
}
