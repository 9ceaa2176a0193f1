using Contracts;
using GpuWorker.Inference;
using Interop.OnnxRuntime;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace GpuWorker.Tests.Inference;

[Collection("Inference")]
public sealed class ModelCacheTests(InferenceFixture inference)
{
    [Fact]
    public async Task Concurrent_callers_share_one_load()
    {
        using var cache = Cache();
        var model = inference.Conformance("ort_types_float");
        var leases = await Task.WhenAll(Enumerable.Range(0, 16).Select(_ => Task.Run(() => cache.LeaseAsync(model))));
        leases.Select(lease => lease.Session).Distinct().Count().ShouldBe(1);
        foreach (var lease in leases)
            lease.Dispose();
        cache.WarmModels.ShouldBe([model.Sha256]);
    }

    [Fact]
    public async Task The_least_recently_used_model_goes_when_there_are_too_many()
    {
        using var cache = Cache();
        var (first, second, third) = (inference.Conformance("ort_types_float"), inference.Conformance("ort_types_int64"), inference.Conformance("ort_types_bool"));
        foreach (var model in (ModelRef[])[first, second, first, third])
            (await cache.LeaseAsync(model)).Dispose();
        cache.WarmModels.ShouldBe([first.Sha256, third.Sha256], ignoreOrder: true);
    }

    [Fact]
    public async Task A_model_in_use_stays_open_however_many_come_after_it()
    {
        using var cache = Cache();
        using var used = await cache.LeaseAsync(inference.Conformance("ort_types_float"));
        foreach (var name in (string[])["ort_types_int64", "ort_types_bool", "ort_types_uint8", "ort_types_int16"])
            (await cache.LeaseAsync(inference.Conformance(name))).Dispose();
        cache.Clear();
        using var input = OnnxValue.Create<float>([1, 2, 3, 4, 5], [1, 5]);
        used.Session.Onnx.Run([new OnnxInput("input", input)])[0].Dispose();
        cache.WarmModels.ShouldBe([used.Session.Sha256]);
    }

    [Fact]
    public async Task A_model_returned_after_the_end_is_closed_then()
    {
        var cache = Cache();
        var lease = await cache.LeaseAsync(inference.Conformance("ort_types_float"));
        cache.Dispose();
        using (var input = OnnxValue.Create<float>([1, 2, 3, 4, 5], [1, 5]))
        {
            lease.Session.Onnx.Run([new OnnxInput("input", input)])[0].Dispose();
            lease.Dispose();
            lease.Dispose();
            Should.Throw<ObjectDisposedException>(() => lease.Session.Onnx.Run([new OnnxInput("input", input)]));
        }
        await Should.ThrowAsync<ObjectDisposedException>(() => cache.LeaseAsync(inference.Conformance("ort_types_float")));
    }

    [Fact]
    public async Task A_load_that_failed_is_tried_again()
    {
        using var cache = Cache();
        var model = inference.Conformance("ort_types_float");
        var path = new Uri(model.Uri).LocalPath;
        var bytes = await File.ReadAllBytesAsync(path);
        await File.WriteAllBytesAsync(path, "something else"u8.ToArray());
        (await Should.ThrowAsync<FailureException>(() => cache.LeaseAsync(model))).Failure.Code.ShouldBe("model_changed");
        cache.WarmModels.ShouldBeEmpty();
        await File.WriteAllBytesAsync(path, bytes);
        (await cache.LeaseAsync(model)).Dispose();
    }

    [Fact]
    public async Task A_caller_who_gives_up_leaves_the_load_to_the_others()
    {
        using var cache = Cache();
        var model = inference.Conformance("ort_types_float");
        await Should.ThrowAsync<OperationCanceledException>(() => cache.LeaseAsync(model, new CancellationToken(true)));
        (await cache.LeaseAsync(model)).Dispose();
    }

    [Fact]
    public async Task Many_callers_of_many_models_never_meet_a_closed_one()
    {
        using var cache = Cache();
        var models = ((string[])["ort_types_float", "ort_types_int64", "ort_types_bool", "ort_types_uint8"]).Select(inference.Conformance).ToArray();
        await Task.WhenAll(Enumerable.Range(0, 8).Select(worker => Task.Run(async () =>
        {
            var random = new Random(worker);
            for (var i = 0; i < 60; i++)
            {
                using var lease = await cache.LeaseAsync(models[random.Next(models.Length)]);
                var type = lease.Session.Onnx.Inputs[0].Type.Element;
                using var input = OnnxValue.Allocate(type, [1, 5]);
                input.Bytes().Clear();
                lease.Session.Onnx.Run([new OnnxInput("input", input)])[0].Dispose();
            }
        })));
        cache.WarmModels.Count.ShouldBeLessThanOrEqualTo(2);
    }

    [Fact]
    public async Task Models_are_closed_by_the_memory_they_were_measured_to_take()
    {
        using var cache = Cache(new InferenceOptions { MaxWarmMegabytes = 100 });
        var (first, second, third) = (Sized("ort_types_float", 60), Sized("ort_types_int64", 30), Sized("ort_types_bool", 20));
        foreach (var model in (ModelRef[])[first, second])
            (await cache.LeaseAsync(model)).Dispose();
        cache.WarmModels.ShouldBe([first.Sha256, second.Sha256], ignoreOrder: true);

        (await cache.LeaseAsync(third)).Dispose();

        cache.WarmModels.ShouldBe([second.Sha256, third.Sha256], ignoreOrder: true);

        ModelRef Sized(string name, long megabytes) => inference.Conformance(name) with { MemoryBytes = megabytes << 20 };
    }

    [Fact]
    public async Task A_pinned_model_stays_until_all_are_cleared()
    {
        using var cache = Cache(new InferenceOptions { MaxWarmModels = 1 });
        var pinned = inference.Conformance("ort_types_float");
        cache.Pin([pinned.Sha256]);
        foreach (var model in (ModelRef[])[pinned, inference.Conformance("ort_types_int64"), inference.Conformance("ort_types_bool")])
            (await cache.LeaseAsync(model)).Dispose();
        cache.WarmModels.ShouldContain(pinned.Sha256);

        var open = cache.WarmModels.Count;
        cache.Clear().ShouldBe((open, 0));

        cache.WarmModels.ShouldBeEmpty();
    }

    [Fact]
    public async Task A_model_that_loses_its_pin_goes_when_there_is_no_room_for_it_and_nobody_uses_it()
    {
        using var cache = Cache(new InferenceOptions { MaxWarmModels = 1 });
        var (before, now) = (inference.Conformance("ort_types_float"), inference.Conformance("ort_types_int64"));
        cache.Pin([before.Sha256, now.Sha256]);
        var used = await cache.LeaseAsync(before);
        (await cache.LeaseAsync(now)).Dispose();

        cache.Pin([now.Sha256]);
        cache.WarmModels.ShouldBe([before.Sha256, now.Sha256], ignoreOrder: true);
        used.Dispose();

        cache.WarmModels.ShouldBe([now.Sha256]);
    }

    [Fact]
    public async Task Clearing_tells_what_was_closed_and_closes_what_is_in_use_when_it_is_returned()
    {
        using var cache = Cache();
        (await cache.LeaseAsync(inference.Conformance("ort_types_float"))).Dispose();
        var used = await cache.LeaseAsync(inference.Conformance("ort_types_int64"));

        cache.Clear().ShouldBe((1, 1));
        used.Dispose();

        cache.WarmModels.ShouldBeEmpty();
    }

    ModelCache Cache(InferenceOptions? options = null) =>
        new(inference.Environment, inference.Artifacts, Options.Create(options ?? inference.Settings), NullLogger<ModelCache>.Instance);
}
