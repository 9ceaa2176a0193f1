using System.Collections.Concurrent;
using System.Security.Cryptography;
using Contracts;
using GpuWorker.Inference;
using GpuWorker.OnlineScoring;
using GpuWorker.Tests.Inference;
using MassTransit;
using Messaging;
using Messaging.PlainJson;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using ServiceDefaults;
using Support;

namespace GpuWorker.Tests.OnlineScoring;

/// <summary>A worker on the in-memory bus, and a registry that answers it.</summary>
public sealed class PinnedModelsTests : IAsyncDisposable
{
    readonly TestFolder _models = new();
    readonly Registry _registry = new();
    readonly Logged _log = new();
    IHost _host = null!;

    ModelCache Cache => _host.Services.GetRequiredService<ModelCache>();

    public async ValueTask DisposeAsync()
    {
        if (_host is not null)
        {
            await _host.StopAsync();
            _host.Dispose();
        }
        _models.Dispose();
    }

    [Fact]
    public async Task Is_ready_once_its_pinned_models_are_open_and_warm()
    {
        var (fraud, other) = (_registry.Has("fraud@champion", Model("ort_types_float")), _registry.Has("acme/other", Model("ort_types_int64")));
        _registry.Hold();
        await StartAsync(["fraud@champion", "acme/other"]);
        await Eventually.TrueAsync(() => _registry.Asked > 0, "the question");
        (await IsReadyAsync()).ShouldBeFalse();
        Cache.WarmModels.ShouldBeEmpty();

        _registry.LetGo();

        await Eventually.TrueAsync(IsReadyAsync, "readiness");
        Cache.WarmModels.ShouldBe([fraud.Sha256, other.Sha256], ignoreOrder: true);
        (await StatusAsync()).ShouldBe(HealthStatus.Healthy);
        Cache.Clear().ShouldBe((2, 0));
    }

    [Fact]
    public async Task Without_pinned_models_it_is_ready_and_asks_nobody()
    {
        await StartAsync([]);

        (await IsReadyAsync()).ShouldBeTrue();
        _registry.Asked.ShouldBe(0);
    }

    [Fact]
    public async Task While_nobody_answers_it_is_ready_in_the_end_and_degraded_and_opens_them_when_somebody_does()
    {
        var fraud = _registry.Has("fraud", Model("ort_types_float"));
        _registry.Ignore(1);
        await StartAsync(["fraud"], ("Inference:PinnedSeconds", "1"));

        await Eventually.TrueAsync(IsReadyAsync, "readiness");
        (await StatusAsync()).ShouldBe(HealthStatus.Degraded);

        await Eventually.TrueAsync(async () => await StatusAsync() == HealthStatus.Healthy, "the model to be open");
        Cache.WarmModels.ShouldBe([fraud.Sha256]);
        _log.Lines.ShouldContain(line => line.Contains("Nobody says which versions"));
    }

    [Fact]
    public async Task A_model_that_cannot_be_opened_or_is_not_there_keeps_the_others_from_nothing_and_is_named_in_the_log()
    {
        var good = _registry.Has("good", Model("ort_types_float"));
        var bad = _registry.Has("bad", Model("ort_types_int64"));
        File.WriteAllText(new Uri(bad.Uri).LocalPath, "no model any more");
        await StartAsync(["bad@latest", "bad", "good"]);

        await Eventually.TrueAsync(IsReadyAsync, "readiness");
        Cache.WarmModels.ShouldBe([good.Sha256]);
        (await StatusAsync()).ShouldBe(HealthStatus.Degraded);
        (await ReportAsync()).Entries["pinned-models"].Description.ShouldBe("2 of 3 pinned models are not open; the worker's log says why.");
        _log.Lines.ShouldContain(line => line.Contains("Pinned bad cannot be kept open: model_changed"));
        _log.Lines.ShouldContain(line => line.Contains("Pinned bad@latest cannot be kept open: there is no such model"));
    }

    [Fact]
    public async Task A_moved_alias_is_followed_with_no_request_and_the_version_before_stays_for_those_who_use_it()
    {
        var first = _registry.Has("fraud@champion", Model("ort_types_float"));
        await StartAsync(["fraud@champion"], ("Inference:MaxWarmModels", "1"));
        await Eventually.TrueAsync(IsReadyAsync, "readiness");
        using var used = await Cache.LeaseAsync(first);

        var second = _registry.Has("fraud@champion", Model("ort_types_int64"));
        await AnnounceAsync("fraud", ModelUpdate.AliasMoved);

        await Eventually.TrueAsync(() => Cache.WarmModels.Contains(second.Sha256), "the new version");
        Cache.WarmModels.ShouldBe([first.Sha256, second.Sha256], ignoreOrder: true);
        used.Dispose();
        await Eventually.TrueAsync(() => Cache.WarmModels.SequenceEqual([second.Sha256]), "the old version's end");
        (await StatusAsync()).ShouldBe(HealthStatus.Healthy);
    }

    [Fact]
    public async Task Until_another_version_opens_the_one_before_stays_pinned()
    {
        var first = _registry.Has("fraud", Model("ort_types_float"));
        await StartAsync(["fraud"], ("Inference:MaxWarmModels", "1"));
        await Eventually.TrueAsync(IsReadyAsync, "readiness");

        var broken = Model("ort_types_int64");
        File.WriteAllText(new Uri(broken.Uri).LocalPath, "no model");
        _registry.Has("fraud", broken);
        await AnnounceAsync("fraud", ModelUpdate.VersionRegistered);
        await Eventually.TrueAsync(async () => await StatusAsync() == HealthStatus.Degraded, "the word of the broken version");

        (await Cache.LeaseAsync(Model("ort_types_bool"))).Dispose();
        Cache.WarmModels.ShouldContain(first.Sha256);
        (await IsReadyAsync()).ShouldBeTrue();
    }

    [Fact]
    public async Task An_alias_that_is_removed_loses_its_pin()
    {
        var first = _registry.Has("fraud@champion", Model("ort_types_float"));
        await StartAsync(["fraud@champion"], ("Inference:MaxWarmModels", "1"));
        await Eventually.TrueAsync(IsReadyAsync, "readiness");

        _registry.HasNo("fraud@champion");
        await AnnounceAsync("fraud", ModelUpdate.AliasRemoved);
        await Eventually.TrueAsync(async () => await StatusAsync() == HealthStatus.Degraded, "the word of the removal");

        (await Cache.LeaseAsync(Model("ort_types_bool"))).Dispose();
        Cache.WarmModels.ShouldNotContain(first.Sha256);
    }

    [Fact]
    public async Task Many_updates_at_once_are_one_question_or_two_and_those_of_other_models_none()
    {
        _registry.Has("fraud", Model("ort_types_float"));
        await StartAsync(["fraud"]);
        await Eventually.TrueAsync(IsReadyAsync, "readiness");
        var before = _registry.Asked;

        for (var i = 0; i < 30; i++)
            await AnnounceAsync("other", ModelUpdate.VersionRegistered);
        var second = _registry.Has("fraud", Model("ort_types_int64"));
        _registry.Hold();
        for (var i = 0; i < 30; i++)
            await AnnounceAsync("fraud", ModelUpdate.VersionRegistered);
        await Eventually.TrueAsync(() => _registry.Asked > before, "the question");
        _registry.LetGo();

        await Eventually.TrueAsync(() => Cache.WarmModels.Contains(second.Sha256), "the new version");
        (_registry.Asked - before).ShouldBeInRange(1, 3);
    }

    [Fact]
    public async Task A_lost_update_is_made_up_for_and_what_was_cleared_is_opened_again()
    {
        var first = _registry.Has("fraud", Model("ort_types_float"));
        await StartAsync(["fraud"], ("Inference:PinnedLookSeconds", "1"));
        await Eventually.TrueAsync(IsReadyAsync, "readiness");

        Cache.Clear().Closed.ShouldBe(1);
        await Eventually.TrueAsync(() => Cache.WarmModels.Contains(first.Sha256), "the model to be open again");
        var second = _registry.Has("fraud", Model("ort_types_int64"));
        await Eventually.TrueAsync(() => Cache.WarmModels.Contains(second.Sha256), "the new version");
    }

    [Theory]
    [InlineData("")]
    [InlineData("@champion")]
    [InlineData("ACME/fraud")]
    [InlineData("a/b/c")]
    [InlineData("fraud@a@b")]
    [InlineData("../fraud")]
    public async Task A_name_that_is_none_stops_the_start(string name) =>
        (await Should.ThrowAsync<OptionsValidationException>(() => StartAsync([name]))).Message.ShouldContain("Inference:Pinned");

    [Theory]
    [InlineData("fraud", null, "fraud", null)]
    [InlineData("fraud@champion", null, "fraud", "champion")]
    [InlineData("acme/fraud@latest", "acme", "fraud", "latest")]
    [InlineData("fraud@AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", null, "fraud", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")]
    public void A_model_of_any_tenant_has_a_name(string text, string? tenant, string name, string? reference) =>
        TenantModel.TryParse(text).ShouldBe(new TenantModel(tenant, name, reference));

    async Task StartAsync(string[] pinned, params (string Name, string Value)[] settings)
    {
        var builder = Host.CreateApplicationBuilder();
        builder.Logging.ClearProviders().AddProvider(_log).AddFilter(null, LogLevel.Information);
        builder.Configuration.AddInMemoryCollection([
            new("Artifacts:ModelsRoot", _models.Path),
            .. pinned.Select((name, i) => KeyValuePair.Create($"Inference:Pinned:{i}", (string?)name)),
            .. settings.Select(setting => KeyValuePair.Create(setting.Name, (string?)setting.Value)),
        ]);
        builder.Services.AddSingleton(_registry);
        builder.Services.AddWorker();
        builder.AddMessaging(bus =>
        {
            bus.AddWorker();
            bus.AddConsumer<Registry.Answers>();
        });
        _host = builder.Build();
        await _host.StartAsync();
    }

    ModelRef Model(string conformance)
    {
        var bytes = File.ReadAllBytes(Path.Combine(InferenceFixture.FindConformance(), conformance, "model.onnx"));
        var path = _models[$"{Guid.CreateVersion7():N}.onnx"];
        File.WriteAllBytes(path, bytes);
        return new ModelRef(conformance, Convert.ToHexStringLower(SHA256.HashData(bytes)), new Uri(path).AbsoluteUri);
    }

    Task AnnounceAsync(string model, string type) => _host.Services.GetRequiredService<IBus>().PublishJson(
        new ModelUpdate(type, "local", model, new string('a', 64), null, 1, 1, DateTimeOffset.UnixEpoch, "/"), Guid.CreateVersion7(), type, CancellationToken.None);

    Task<HealthReport> ReportAsync() => _host.Services.GetRequiredService<HealthCheckService>().CheckHealthAsync(check => check.Name is "pinned-models" or "warm-up");

    async Task<HealthStatus> StatusAsync() => (await ReportAsync()).Status;

    async Task<bool> IsReadyAsync() =>
        (await _host.Services.GetRequiredService<HealthCheckService>().CheckHealthAsync(check => check.Tags.Contains(Health.Needed) && check.Name == "warm-up")).Status == HealthStatus.Healthy;

    /// <summary>Which models there are, and whether it answers.</summary>
    sealed class Registry
    {
        readonly ConcurrentDictionary<string, ModelRef> _models = [];
        volatile TaskCompletionSource _free = Free();
        int _asked;
        int _ignored;

        public int Asked => Volatile.Read(ref _asked);

        public ModelRef Has(string name, ModelRef model) => _models[name] = model;

        public void HasNo(string name) => _models.TryRemove(name, out _);

        public void Hold() => _free = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);

        public void LetGo() => _free.SetResult();

        /// <summary>So many questions get no answer.</summary>
        public void Ignore(int questions) => _ignored = questions;

        static TaskCompletionSource Free()
        {
            var free = new TaskCompletionSource();
            free.SetResult();
            return free;
        }

        public sealed class Answers(Registry registry) : IConsumer<FindModels>
        {
            public async Task Consume(ConsumeContext<FindModels> context)
            {
                Interlocked.Increment(ref registry._asked);
                if (Interlocked.Decrement(ref registry._ignored) >= 0)
                    return;
                await registry._free.Task;
                await context.RespondAsync(new ModelsFound([.. context.Message.Models.Select(model => registry._models.GetValueOrDefault(model.ToString()))]));
            }
        }
    }

    sealed class Logged : ILoggerProvider, ILogger
    {
        readonly ConcurrentQueue<string> _lines = [];

        public IReadOnlyCollection<string> Lines => _lines;

        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) => _lines.Enqueue(formatter(state, exception));

        public void Dispose()
        {
        }
    }
}
