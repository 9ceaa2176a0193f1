using Api.OnlineScoring;
using Contracts.WorkLedger;

namespace Api.Tests.OnlineScoring;

public sealed class WorkersTests
{
    const string Model = "aaaa";

    readonly Workers _workers = new(TimeProvider.System);

    public WorkersTests()
    {
        Announce("warm", free: 2, Model);
        Announce("cold", free: 4);
    }

    [Fact]
    public void One_that_has_the_model_open_is_chosen_though_others_are_less_loaded()
    {
        for (var i = 0; i < 10; i++)
            Choose().ShouldBe("warm");
    }

    [Fact]
    public void Another_opens_the_model_where_a_crowd_waits_at_those_that_have_it()
    {
        var chosen = Enumerable.Range(0, 200).Select(_ => Choose()).ToList();

        chosen.Take(66).ShouldAllBe(name => name == "warm");
        chosen[66].ShouldBe("cold");
        chosen.Count(name => name == "cold").ShouldBeInRange(60, 140);
    }

    [Fact]
    public void One_that_was_forgotten_is_chosen_again_once_it_announces_itself()
    {
        _workers.Forget(_workers.Choose(Model, [])!);
        Choose().ShouldBe("cold");

        Announce("warm", free: 2, Model);
        Choose().ShouldBe("warm");
    }

    void Announce(string name, int free, params string[] models) => _workers.Announce(new WorkerAlive(name, 1, models, new Uri($"http://{name}:1"), free));

    string Choose()
    {
        var chosen = _workers.Choose(Model, [])!;
        chosen.Ask();
        return chosen.Name;
    }
}
