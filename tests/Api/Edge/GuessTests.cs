using System.Diagnostics;
using System.Net;
using Api.Edge;
using Microsoft.Extensions.Options;

namespace Api.Tests.Edge;

public sealed class GuessTests
{
    const int Burst = 20;

    [Fact]
    public void Who_has_guessed_too_often_may_guess_no_faster_than_the_rate()
    {
        using var limits = new RequestLimits(Options.Create(new LimitOptions { StrangerBurst = Burst, StrangerRequests = 1 }), TimeProvider.System);
        var guesser = IPAddress.Parse("203.0.113.1");
        var guesses = 0;
        var since = Stopwatch.StartNew();

        // Past the first moments, in which there is not even a part of a guess left.
        while (since.Elapsed < TimeSpan.FromSeconds(0.5))
            if (limits.MayGuess(guesser))
            {
                guesses++;
                limits.GuessedWrong(guesser);
            }

        guesses.ShouldBeInRange(Burst, Burst + 1 + (int)since.Elapsed.TotalSeconds);
        limits.MayGuess(IPAddress.Parse("203.0.113.2")).ShouldBeTrue();
    }
}
