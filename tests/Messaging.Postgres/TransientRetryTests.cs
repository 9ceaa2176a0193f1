using MassTransit;
using MassTransit.Middleware;
using Npgsql;

namespace Messaging.Postgres.Tests;

public sealed class TransientRetryTests
{
    static readonly Exception Deadlock = new PostgresException("deadlock detected", "ERROR", "ERROR", PostgresErrorCodes.DeadlockDetected);
    static readonly Exception Starting = new PostgresException("the database system is starting up", "FATAL", "FATAL", PostgresErrorCodes.CannotConnectNow);

    static async Task<Exception> RefusedAsync()
    {
        // A port that was free a moment ago.
        var free = new System.Net.Sockets.TcpListener(System.Net.IPAddress.Loopback, 0);
        free.Start();
        var port = ((System.Net.IPEndPoint)free.LocalEndpoint).Port;
        free.Stop();
        await using var connection = new NpgsqlConnection($"Host=127.0.0.1;Port={port};Username=nobody");
        return await Should.ThrowAsync<NpgsqlException>(connection.OpenAsync());
    }

    [Fact]
    public async Task An_outage_is_told_from_a_message_that_fails()
    {
        var refused = await RefusedAsync();
        foreach (var outage in new[] { refused, Starting, new InvalidOperationException("wrapped", refused), new AggregateException(Deadlock, Starting) })
            TransientError.IsOutage(outage).ShouldBeTrue();
        foreach (var own in new Exception[] { Deadlock, new NpgsqlException("slow", new TimeoutException()), new ConcurrencyException() })
        {
            TransientError.IsOutage(own).ShouldBeFalse();
            TransientError.IsTransient(own).ShouldBeTrue();
        }

        TransientError.IsTransient(new PostgresException("", "", "", PostgresErrorCodes.UniqueViolation)).ShouldBeFalse();
        TransientError.IsTransient(new InvalidOperationException()).ShouldBeFalse();
    }

    [Fact]
    public void Tries_are_counted_for_the_messages_own_errors_only()
    {
        var context = new TransientRetryPolicy(TimeSpan.MaxValue, TimeProvider.System).CreatePolicyContext(new TestContext());
        context.CanRetry(Starting, out var retry).ShouldBeTrue();
        for (var i = 0; i < 100; i++)
            retry.CanRetry(Starting, out retry).ShouldBeTrue();
        for (var i = 0; i < TransientRetry.Tries; i++)
            retry.CanRetry(Deadlock, out retry).ShouldBeTrue();
        retry.CanRetry(Starting, out var afterAll).ShouldBeTrue();
        afterAll.CanRetry(Deadlock, out _).ShouldBeFalse();
        retry.CanRetry(Deadlock, out _).ShouldBeFalse();
        context.CanRetry(new InvalidOperationException(), out _).ShouldBeFalse();
    }

    [Fact]
    public void A_message_of_a_broker_is_held_through_an_outage_for_a_while_and_then_given_back()
    {
        var clock = new StoppedClock();
        var context = new TransientRetryPolicy(TransientRetry.LongestHold, clock).CreatePolicyContext(new TestContext());
        context.CanRetry(Starting, out var retry).ShouldBeTrue();
        clock.Now = TransientRetry.LongestHold - TimeSpan.FromSeconds(1);
        retry.CanRetry(Starting, out retry).ShouldBeTrue();

        clock.Now = TransientRetry.LongestHold;

        retry.CanRetry(Starting, out _).ShouldBeFalse();
        retry.CanRetry(Deadlock, out _).ShouldBeTrue();
    }

    [Fact]
    public void What_was_undone_together_goes_again_at_once_and_counts_for_nothing()
    {
        // Whatever it was, it is not known to be this message's.
        var together = new UndoneTogetherException(new InvalidOperationException("another's"));
        TransientError.IsTransient(together).ShouldBeTrue();
        TransientError.IsOutage(new UndoneTogetherException(Starting)).ShouldBeFalse();

        var context = new TransientRetryPolicy(TimeSpan.MaxValue, TimeProvider.System).CreatePolicyContext(new TestContext());
        context.CanRetry(together, out var retry).ShouldBeTrue();
        retry.Delay.ShouldBe(TimeSpan.Zero);
        for (var i = 0; i < TransientRetry.Tries; i++)
            retry.CanRetry(Deadlock, out retry).ShouldBeTrue();
        retry.CanRetry(Deadlock, out _).ShouldBeFalse();
    }

    sealed class StoppedClock : TimeProvider
    {
        public TimeSpan Now { get; set; }

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => Now.Ticks;
    }

    sealed class TestContext : BasePipeContext;
}
