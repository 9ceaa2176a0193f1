using System.Collections.Concurrent;
using System.Net.Http.Json;
using System.Text.Json;
using Contracts;
using Contracts.BatchInference;
using Interop.DuckDb;
using MassTransit;
using Messaging;
using Messaging.Postgres;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Npgsql;
using Sagas.BatchInference;
using Sagas.Models;
using Sagas.Persistence;
using Sagas.WorkLedger;
using Support;

namespace Api.Tests;

[CollectionDefinition(nameof(ApiHost))]
public sealed class ApiHostShared : ICollectionFixture<ApiHost>;

/// <summary>The API alone, on a real PostgreSQL and the in-memory bus; a worker that only inspects models answers as a file's text says.</summary>
public class ApiHost : IAsyncLifetime
{
    public const string Version = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    /// <summary>What the file of the model <c>risk</c> holds.</summary>
    public const string RiskFile = "good, and long enough for ranges";

    // A row leaves the outbox moments after it is sent: only a trace of it can be compared before and after.
    const string RememberMessagesSql =
        """
        CREATE TABLE messaging.seen (id uuid);
        CREATE FUNCTION messaging.remember() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN INSERT INTO messaging.seen VALUES (NEW.id); RETURN NULL; END';
        CREATE TRIGGER remember AFTER INSERT ON messaging.outbox FOR EACH ROW EXECUTE FUNCTION messaging.remember();
        """;

    readonly PostgresServer _postgres = new();
    readonly TestFolder _folder = new();
    WebApplication _app = null!;

    public HttpClient Client { get; private set; } = null!;

    /// <summary>As superuser.</summary>
    public string ConnectionString { get; private set; } = "";

    public IServiceProvider Services => _app.Services;
    public ConcurrentDictionary<Guid, int> Submitted { get; } = [];
    public ConcurrentDictionary<Guid, string> Cancelled { get; } = [];
    public ConcurrentDictionary<Guid, ConcurrentQueue<HeardEvent>> Events { get; } = [];
    public ConcurrentQueue<ModelUpdate> ModelUpdates { get; } = [];

    public string Inputs => _folder["inputs"];
    public string Outputs => _folder["outputs"];
    public string Models => _folder["models"];
    public string Outside => _folder["outside"];
    public string Root => _folder.Path;

    public static string Uri(params string[] path) => "file://" + Path.Combine(path);

    public virtual async Task InitializeAsync()
    {
        await _postgres.InitializeAsync();
        foreach (var folder in new[] { Inputs, Outputs, Models, Outside })
            Directory.CreateDirectory(folder);
        ConnectionString = await _postgres.CreateDatabaseAsync();
        _app = Build(ConnectionString);
        await using (var scope = _app.Services.CreateAsyncScope())
        {
            await _app.Services.GetRequiredService<PlatformDatabase>().MigrateAsync();
            await scope.ServiceProvider.GetRequiredService<PlatformDbContext>().Database.ExecuteSqlRawAsync(RememberMessagesSql);
        }

        await AddModelAsync("risk", Version);
        File.WriteAllText(Path.Combine(Models, $"{Version}.onnx"), RiskFile);
        await _app.StartAsync();
        Client = new HttpClient { BaseAddress = new Uri(_app.Urls.First()), Timeout = TimeSpan.FromSeconds(30) };
        WriteParquet("rows.parquet", "SELECT i AS id, i * 0.5 AS age, i * 2.0 AS income FROM range(1000) t(i)");
    }

    public virtual async Task DisposeAsync()
    {
        Client.Dispose();
        await _app.StopAsync();
        await _app.DisposeAsync();
        _folder.Dispose();
    }

    /// <param name="connection">To PostgreSQL, which need not be there.</param>
    public WebApplication Build(string connection)
    {
        var builder = WebApplication.CreateBuilder(new WebApplicationOptions { ContentRootPath = AppContext.BaseDirectory, EnvironmentName = "Test" });
        builder.Logging.ClearProviders().AddSimpleConsole().SetMinimumLevel(LogLevel.Warning);
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["Artifacts:InputRoots:0"] = Inputs,
            ["Artifacts:OutputRoots:0"] = Outputs,
            ["Artifacts:ModelsRoot"] = Models,
            ["Api:InspectTimeout"] = "00:00:02",
            ["Api:MaxModelBytes"] = "2000000",
            ["Api:MaxModelDataBytes"] = "3000000",
            ["Api:BatchInference:Output"] = Uri(Outputs),
            ["Api:BatchInference:SampleInputs:risk-model"] = Uri(Inputs, "rows.parquet"),
            ["Api:BatchInference:ProgressPoll"] = "00:00:00.050",
        });
        builder.Configuration.AddInMemoryCollection(Settings);
        builder.Services.AddSingleton(this);
        builder.Services.AddPlatformDatabase(_ => PlatformDatabase.Open(connection, "Api.Tests"));
        builder.AddMessaging(bus =>
        {
            bus.AddPostgresMessaging<PlatformDbContext>();
            bus.AddConsumer<Recorder>();
            bus.AddConsumer<EventRecorder, PlainJsonReader<EventRecorder>>();
            bus.AddConsumer<UpdateRecorder, PlainJsonReader<UpdateRecorder>>();
            AddWorker(builder, bus);
            bus.AddApi(builder.Configuration);
        });
        builder.AddApi();
        Change(builder.Services);
        var app = builder.Build();
        app.MapApi();
        return app;
    }

    /// <summary>Of a host that differs.</summary>
    private protected virtual IReadOnlyDictionary<string, string?> Settings { get; } = new Dictionary<string, string?>();

    private protected virtual void Change(IServiceCollection services)
    {
    }

    private protected virtual void AddWorker(WebApplicationBuilder builder, IBusRegistrationConfigurator bus) => bus.AddConsumer<Inspector>();

    public async Task<T> WithDbAsync<T>(Func<PlatformDbContext, Task<T>> use)
    {
        await using var scope = Services.CreateAsyncScope();
        return await use(scope.ServiceProvider.GetRequiredService<PlatformDbContext>());
    }

    public Task AddModelAsync(string name, string version, ModelSignature? signature = null) => WithDbAsync(db =>
    {
        db.Add(new RegisteredModel
        {
            Tenant = "local",
            Name = name,
            Version = version,
            Uri = Uri(Models, $"{version}.onnx"),
            Signature = WireJson.Write(signature ?? TwoFeatures),
            RowsPerSecond = 1000,
            RegisteredAt = DateTimeOffset.UnixEpoch,
        });
        return db.SaveChangesAsync();
    });

    /// <summary>age and income, in this order, as one [N, 2] input.</summary>
    public static ModelSignature TwoFeatures { get; } = new(
        [new ModelTensor("features", "tensor(float)", [-1, 2])],
        [new ModelTensor("score", "tensor(float)", [-1, 1])],
        [new OutputColumn("score", "FLOAT", 0, 0)],
        ["age", "income"], AllowMissing: false, AllowNaN: true, new Dictionary<string, string> { ["description"] = "Two features" }, "test");

    /// <summary>A job as ledger and saga would have it, without either at work.</summary>
    public async Task<Guid> AddJobAsync(string ledger, string? saga, Action<WorkJob>? change = null, Action<BatchJobState>? changeSaga = null)
    {
        var id = NewId.NextSequentialGuid();
        await WithDbAsync(async db =>
        {
            var spec = new BatchJobSpec(
                new InputSpec(Uri(Inputs, "rows.parquet"), "parquet"), new ModelRef("risk", Version, Uri(Models, "m.onnx")), TwoFeatures,
                new FeatureMapping([new InputColumns("features", ["age", "income"])]), [], new OutputSpec(Uri(Outputs), "parquet"), null, 1000, 0.01, null, 3600, 0);
            var job = db.WorkJobs.Open(id, "local", BatchWork.Kind, WireJson.Write(spec), 0, 0.01, null, TimeProvider.System.GetUtcNow());
            job.State = ledger;
            change?.Invoke(job);
            job.PlannedAt = job.InputRows > 0 ? job.AcceptedAt : null;
            if (saga is not null)
            {
                var state = new BatchJobState { CorrelationId = id, CurrentState = saga, Tenant = "local" };
                changeSaga?.Invoke(state);
                db.Add(state);
            }

            return await db.SaveChangesAsync();
        });
        return id;
    }

    public Task ChangeJobAsync(Guid id, Action<WorkJob> change, string? saga = null) => WithDbAsync(async db =>
    {
        change(await db.WorkJobs.SingleAsync(j => j.Id == id));
        if (saga is not null)
            (await db.BatchJobs.SingleAsync(s => s.CorrelationId == id)).CurrentState = saga;
        return await db.SaveChangesAsync();
    });

    public Task AddUnitAsync(Guid job, int unit, WorkUnitState state, long rows, Action<WorkUnit>? change = null) => WithDbAsync(db =>
    {
        var piece = new WorkUnit
        {
            JobId = job,
            Tenant = "local",
            Unit = unit,
            State = state,
            Rows = rows,
            Spec = WireJson.Write(new BatchUnit(new RowRange(Uri(Inputs, "rows.parquet"), "rows.parquet", unit * rows, rows, 1, 1))),
            Scored = state == WorkUnitState.Committed ? rows : 0,
        };
        change?.Invoke(piece);
        db.Add(piece);
        return db.SaveChangesAsync();
    });

    public string WriteParquet(string name, string query)
    {
        DuckDbLibrary.Load(ServiceDefaults.NativeParts.DuckDb());
        var path = Path.Combine(Inputs, name);
        using var database = DuckDbDatabase.Open(new DuckDbSettings());
        using var connection = database.Connect();
        connection.Execute($"COPY ({query}) TO {DuckDbSql.Literal(path)} (FORMAT parquet)");
        return path;
    }

    public string Write(string name, string text)
    {
        var path = Path.Combine(Inputs, name);
        File.WriteAllText(path, text);
        return path;
    }

    public Task<HttpResponseMessage> SubmitAsync(object body, string? key = null) => PostAsync("/api/v1/batch-inference/jobs", body, key);

    public async Task<HttpResponseMessage> PostAsync(string path, object body, string? key = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = JsonContent.Create(body) };
        if (key is not null)
            request.Headers.Add("Idempotency-Key", key);
        return await Client.SendAsync(request);
    }

    public IReadOnlyList<BatchInferenceOutput> EventsOf(Guid job) => Events.TryGetValue(job, out var events) ? [.. events.Select(e => e.Output)] : [];

    /// <summary>Everything that a refused request might have left behind.</summary>
    public async Task<(int Jobs, int Models, int Keys, long Messages, int Files)> LeftoversAsync() => await WithDbAsync(async db => (
        await db.WorkJobs.CountAsync(), await db.Models.CountAsync(), await db.IdempotentRequests.CountAsync(),
        await db.Database.SqlQuery<long>($"""SELECT count(*) AS "Value" FROM messaging.seen""").SingleAsync(),
        Directory.EnumerateFiles(Outputs, "*", SearchOption.AllDirectories).Count() + Directory.EnumerateFiles(Models, "*", SearchOption.AllDirectories).Count()));

    // One consumer an endpoint: plain JSON does not say which type it is to MassTransit.
    sealed class PlainJsonReader<T> : ConsumerDefinition<T> where T : class, IConsumer
    {
        protected override void ConfigureConsumer(
            IReceiveEndpointConfigurator endpointConfigurator, IConsumerConfigurator<T> consumerConfigurator, IRegistrationContext context) =>
            endpointConfigurator.UseRawJsonDeserializer(RawSerializerOptions.AnyMessageType, isDefault: true);
    }

    sealed class EventRecorder(ApiHost host) : IConsumer<BatchInferenceOutput>
    {
        public Task Consume(ConsumeContext<BatchInferenceOutput> context)
        {
            var heard = new HeardEvent(
                context.Message, context.ReceiveContext.Body.GetString(), context.ReceiveContext.ContentType?.ToString(), context.Headers.Get<string>("type"), context.MessageId);
            host.Events.GetOrAdd(context.Message.JobId, _ => []).Enqueue(heard);
            return Task.CompletedTask;
        }
    }

    sealed class UpdateRecorder(ApiHost host) : IConsumer<ModelUpdate>
    {
        public Task Consume(ConsumeContext<ModelUpdate> context)
        {
            host.ModelUpdates.Enqueue(context.Message);
            return Task.CompletedTask;
        }
    }

    sealed class Recorder(ApiHost host) : IConsumer<SubmitBatchJob>, IConsumer<CancelBatchJob>
    {
        public Task Consume(ConsumeContext<SubmitBatchJob> context)
        {
            host.Submitted.AddOrUpdate(context.Message.JobId, 1, (_, n) => n + 1);
            return Task.CompletedTask;
        }

        public Task Consume(ConsumeContext<CancelBatchJob> context)
        {
            host.Cancelled[context.Message.JobId] = context.Message.Reason;
            return Task.CompletedTask;
        }
    }

    sealed class Inspector : IConsumer<InspectModel>
    {
        public async Task Consume(ConsumeContext<InspectModel> context)
        {
            var text = await File.ReadAllTextAsync(new Uri(context.Message.Uri).LocalPath);
            if (text.StartsWith("good", StringComparison.Ordinal))
                await context.RespondAsync(new ModelInspected(context.Message.Sha256, TwoFeatures, 1234));
            else if (text.StartsWith("crash", StringComparison.Ordinal))
                throw new InvalidOperationException("The reader died.");
            else if (!text.StartsWith("silent", StringComparison.Ordinal))
                await context.RespondAsync(new ModelRefused(context.Message.Sha256, new Failure(text, $"Refused: {text}.", [new FieldFailure("x", text, "Refused.")])));
        }
    }
}

/// <summary>An event as an outsider reads it.</summary>
public sealed record HeardEvent(BatchInferenceOutput Output, string Json, string? ContentType, string? Type, Guid? MessageId);

static class Responses
{
    public static async Task<JsonElement> JsonAsync(this HttpResponseMessage response)
    {
        var text = await response.Content.ReadAsStringAsync();
        return JsonSerializer.Deserialize<JsonElement>(text);
    }

    /// <summary>Asserts a problem and gives its bad fields with their codes.</summary>
    public static async Task<Dictionary<string, string>> ProblemAsync(this HttpResponseMessage response, int status, string code)
    {
        var text = await response.Content.ReadAsStringAsync();
        ((int)response.StatusCode).ShouldBe(status, text);
        response.Content.Headers.ContentType!.MediaType.ShouldBe("application/problem+json");
        text.ShouldNotContain("   at ");
        var problem = JsonSerializer.Deserialize<JsonElement>(text);
        problem.GetProperty("code").GetString().ShouldBe(code, text);
        problem.GetProperty("status").GetInt32().ShouldBe(status);
        problem.GetProperty("detail").GetString().ShouldNotBeNullOrEmpty();
        return problem.TryGetProperty("errors", out var errors)
            ? errors.EnumerateArray().GroupBy(e => e.GetProperty("field").GetString()!).ToDictionary(g => g.Key, g => g.First().GetProperty("code").GetString()!)
            : [];
    }
}
