using Api.BatchInference;
using Api.Edge;
using Api.Models;
using Api.OnlineScoring;
using Api.Operations;
using Api.Requests;
using Api.Security;
using Api.Security.ApiKeys;
using Api.Security.Audit;
using Artifacts;
using Contracts.OnlineScoring;
using MassTransit;
using Messaging;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Sagas.WorkLedger;
using ServiceDefaults;

namespace Api;

/// <summary>
/// The HTTP side of the platform. The host brings the bus, a <c>PlatformDbContext</c>, an <c>NpgsqlDataSource</c> and health checks.
/// </summary>
public static class PipelineRegistration
{
    public static IHostApplicationBuilder AddApi(this IHostApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddOptions<ApiOptions>().BindConfiguration(ApiOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        services.TryAddSingleton(TimeProvider.System);
        services.AddArtifacts();
        var isClosed = builder.AddSecurity();
        builder.AddEdge(isOpen: !isClosed);
        services.AddProblemDetails();
        services.AddExceptionHandler<FailureHandler>();
        services.Configure<RouteHandlerOptions>(routes => routes.ThrowOnBadRequest = true);
        services.AddOpenApi("v1", ApiDescription.Configure);
        services.ConfigureHttpJsonOptions(json => ApiDescription.Configure(json.SerializerOptions));
        services.AddHealthChecks();
        services.AddScoped<Idempotency>();
        services.AddHostedService<IdempotencyExpiry>();
        services.AddModels();
        services.AddBatchInferenceApi();
        services.AddOnlineScoringApi();
        services.AddScoped<Invariants>();
        services.AddScoped<ManifestFiles>();
        return builder;
    }

    /// <summary>What the API's host receives: requests that come as messages.</summary>
    public static void AddApi(this IBusRegistrationConfigurator bus, IConfiguration configuration)
    {
        bus.AddConsumer<InputConsumer, InputDefinition>();
        bus.AddConsumer<ScoreOnlineConsumer, ScoreOnlineDefinition>();
        bus.AddConsumer<FindModelsConsumer>().Endpoint(endpoint => endpoint.Name = "find-models");
        bus.AddConsumer<WorkerAnnouncements>().Endpoint(endpoint => endpoint.OfThisProcess("api-workers"));
        bus.AddConsumer<ModelCacheAnswers>().Endpoint(endpoint => endpoint.OfThisProcess("api-model-caches"));
        if (configuration[$"{BatchInferenceApiOptions.Section}:{nameof(BatchInferenceApiOptions.TrustedInput)}"] is { Length: > 0 })
            bus.AddConsumer<TrustedInputConsumer, TrustedInputDefinition>();
    }

    static void AddModels(this IServiceCollection services)
    {
        services.AddSingleton<ModelFiles>();
        services.AddScoped<ModelRegistration>();
        services.AddScoped<ModelAliases>();
        services.AddScoped<ModelDescriptions>();
        services.AddScoped<ModelAdapters>();
        services.AddSingleton<InspectionWorker>();
        services.AddHostedService<SampleModels>();
    }

    static void AddBatchInferenceApi(this IServiceCollection services)
    {
        services.AddOptions<BatchInferenceApiOptions>().BindConfiguration(BatchInferenceApiOptions.Section).ValidateDataAnnotations()
            .Validate(o => o.IsTrustedInputFree, "Api:BatchInference:TrustedInput is a name that the platform uses otherwise; choose another.")
            .Validate<ArtifactStore>(
                (o, store) => store.Options.Tenants.Count == 0 || RemoteUri.Is(o.Output) || store.IsOutputRoot(o.Output),
                "Api:BatchInference:Output must be one of Artifacts:OutputRoots where there is more than one tenant (Artifacts:Tenants): each has a folder of its own below it.")
            .ValidateOnStart();
        services.TryAddSingleton<LedgerSignal>();
        services.AddSingleton<InputProbe>();
        services.AddSingleton<JobFeeds>();
        services.AddScoped<BatchJobIntake>();
        services.AddScoped<BatchJobSpecs>();
        services.AddScoped<BatchJobSubmission>();
        services.AddScoped<BatchJobCancellation>();
    }

    static void AddOnlineScoringApi(this IServiceCollection services)
    {
        services.AddOptions<OnlineScoringApiOptions>().BindConfiguration(OnlineScoringApiOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        services.AddOptions<WorkerAccessOptions>().BindConfiguration(WorkerAccessOptions.Section);
        services.AddSingleton<ServedModels>();
        services.AddSingleton<Workers>();
        services.AddSingleton<ModelCaches>();
        services.TryAddSingleton<IWorkerScoring, HttpWorkerScoring>();
    }

    public static WebApplication MapApi(this WebApplication app)
    {
        app.UseEdge();

        app.UseSecurity();

        var api = app.MapGroup("/api/v1");
        api.MapBatchJobs();
        api.MapModels();
        api.MapEndpoints();
        api.MapOperations();
        api.MapDeadLetters();
        api.MapApiKeys();
        api.MapAudit();
        app.MapCompatibilityRoutes();
        app.MapHealth().Needs(Role.Viewer);
        app.MapInfo();
        app.MapOpenApi().Needs(Role.Viewer);
        app.MapLandingPage();
        return app;
    }
}
