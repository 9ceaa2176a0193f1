using System.Text.Json;
using Api.Security;
using Contracts;
using Contracts.OnlineScoring;
using MassTransit;
using Microsoft.Extensions.Options;
using ServiceDefaults;

namespace Api.OnlineScoring;

/// <summary>The same over the bus, for the home tenant: a message says nothing that could be believed of who sent it.</summary>
sealed class ScoreOnlineConsumer(
    ServedModels models, IWorkerScoring workers, IOptions<OnlineScoringApiOptions> options, IOptions<TenancyOptions> tenancy, TimeProvider clock) : IConsumer<ScoreOnline>
{
    public async Task Consume(ConsumeContext<ScoreOnline> context)
    {
        // Nobody waits for it any more.
        if (context.ExpirationTime < clock.GetUtcNow().UtcDateTime)
            return;
        try
        {
            using var answer = new PooledAnswer();
            await ScoreAsync(context.Message, answer, context.CancellationToken);
            using var body = JsonDocument.Parse(answer.Written);
            await context.RespondAsync(new ScoredOnline(body.RootElement.Clone()));
        }
        catch (FailureException e)
        {
            await context.RespondAsync(new ScoringRefused(e.Failure));
        }
        catch (OperationCanceledException) when (!context.CancellationToken.IsCancellationRequested)
        {
            await context.RespondAsync(new ScoringRefused(new Failure("deadline_exceeded", "The time for the request was up before it was scored.")));
        }
    }

    async Task ScoreAsync(ScoreOnline asked, PooledAnswer answer, CancellationToken cancellationToken)
    {
        var timeout = ScoringTimeout.Of(asked.TimeoutMilliseconds, options.Value.TimeoutMilliseconds, "timeoutMilliseconds");
        using var time = new CancellationTokenSource(timeout, clock);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(time.Token, cancellationToken);
        var (model, adapter) = await models.FindAsync(tenancy.Value.Home, asked.Model ?? "", asked.Adapter, stop.Token);
        await workers.ScoreAsync(model, adapter, JsonSerializer.SerializeToUtf8Bytes(asked.Body), timeout, answer, stop.Token);
    }
}

sealed class ScoreOnlineDefinition : ConsumerDefinition<ScoreOnlineConsumer>
{
    const int AtOnce = 64;

    public ScoreOnlineDefinition() => EndpointName = "score-online";

    // Nothing of it is kept: who asked asks again.
    protected override void ConfigureConsumer(
        IReceiveEndpointConfigurator endpointConfigurator, IConsumerConfigurator<ScoreOnlineConsumer> consumerConfigurator, IRegistrationContext context)
    {
        (endpointConfigurator.PrefetchCount, endpointConfigurator.ConcurrentMessageLimit) = (AtOnce, AtOnce);
        endpointConfigurator.ConfigureConsumeTopology = true;
    }
}
