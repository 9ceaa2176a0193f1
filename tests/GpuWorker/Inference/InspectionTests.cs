using System.Diagnostics;
using Contracts;
using GpuWorker.Inference;
using GpuWorker.Inference.Inspection;
using Microsoft.Extensions.Options;
using Support;

namespace GpuWorker.Tests.Inference;

/// <summary>Model files that mean harm, each looked at in a process of its own, as a worker does. This process is the worker, and lives.</summary>
[Collection("Inference")]
public sealed class InspectionTests(InferenceFixture inference)
{
    [Fact]
    public async Task A_good_model_is_found_good_and_its_memory_is_measured()
    {
        var model = inference.Conformance("ort_logreg_iris_zipmap");

        var inspected = await inference.InspectApartAsync(model);

        inspected.Sha256.ShouldBe(model.Sha256);
        inspected.Signature.Columns.Count.ShouldBe(4);
        inspected.RowsPerSecond.ShouldBeGreaterThan(0);
        inspected.PeakLoadBytes.ShouldBeInRange(1, 200 << 20);
        inspected.PeakBatchBytes.ShouldBeInRange(1, 200 << 20);
        Left().ShouldBeEmpty();
    }

    [Fact]
    public async Task What_a_model_allocates_while_it_scores_is_in_the_measure()
    {
        var model = inference.Add(TestModels.Hungry(8 << 20));
        using var patient = new ModelInspector(
            inference.Artifacts, Options.Create(new InferenceOptions { InspectFolder = inference.Tried.Path, DryRunSeconds = 60 }), TimeProvider.System);

        var inspected = await patient.InspectAsync(new InspectModel(model.Uri, model.Sha256));

        inspected.PeakBatchBytes.ShouldBeInRange(32 << 20, 150 << 20);
    }

    [Fact]
    public async Task What_a_model_is_made_of_is_in_the_measure()
    {
        var small = await inference.InspectApartAsync(inference.Add(TestModels.Heavy(1)));
        var large = await inference.InspectApartAsync(inference.Add(TestModels.Heavy(10 << 20)));

        (large.PeakLoadBytes - small.PeakLoadBytes).ShouldBeGreaterThan(40 << 20);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(1000)]
    [InlineData(300_000)]
    public async Task Random_bytes_are_refused(int length)
    {
        var bytes = new byte[length];
        new Random(length).NextBytes(bytes);
        await RefusedAsync(bytes, "model_invalid");
    }

    [Fact]
    public async Task Models_cut_short_or_with_a_bit_turned_are_refused_or_read_and_never_worse()
    {
        var whole = await File.ReadAllBytesAsync(new Uri(inference.Conformance("ort_mobilenet_v3_excerpt").Uri).LocalPath);
        var random = new Random(4);
        foreach (var length in new[] { 1, whole.Length / 3, whole.Length / 2, whole.Length - 1 })
            await RefusedAsync(whole[..length], "model_invalid");
        for (var i = 0; i < 12; i++)
        {
            var broken = (byte[])whole.Clone();
            broken[random.Next(2000)] ^= (byte)(1 << random.Next(8));
            try
            {
                (await inference.InspectApartAsync(inference.Add(broken))).Signature.Inputs.ShouldNotBeEmpty();
            }
            catch (FailureException error)
            {
                error.Failure.Code.ShouldStartWith("model_");
            }
        }
        await LivesAsync();
    }

    [Theory]
    [InlineData(1L << 40)]
    [InlineData(long.MaxValue)]
    [InlineData(-1L)]
    public async Task A_weight_that_says_it_is_huge_is_refused(long size) => await RefusedAsync(TestModels.Boastful(size, 1 << 20), "model_invalid");

    [Fact]
    public Task A_model_that_needs_ten_gigabytes_is_refused() => RefusedAsync(TestModels.Hungry(10L << 28), "model_too_large");

    [Fact]
    public Task An_input_that_no_memory_holds_is_refused() => RefusedAsync(TestModels.Identity(1 << 20, 1 << 20, 1 << 20), "model_too_large");

    [Fact]
    public Task A_model_that_never_ends_is_refused_in_time() => RefusedAsync(TestModels.Endless(), "model_too_slow");

    [Theory]
    [InlineData("test.custom", "Anything", false, "test.custom.Anything")]
    [InlineData("test.custom", "Anything", true, "test.custom.Anything")]
    [InlineData("com.microsoft", "EPContext", false, "EPContext")]
    [InlineData("com.microsoft", "EPContext", true, "EPContext")]
    public async Task Operators_of_others_and_compiled_programs_are_refused_by_name(string domain, string name, bool nested, string said) =>
        (await RefusedAsync(TestModels.Operator(domain, name, nested), "model_unsupported_operator")).Message.ShouldContain(said);

    [Theory]
    [InlineData("/etc/passwd")]
    [InlineData("../weights.bin")]
    [InlineData("folder/weights.bin")]
    [InlineData("..")]
    [InlineData(".")]
    [InlineData("")]
    [InlineData("*/_ORT_MEM_ADDR_/*")]
    [InlineData("C:weights.bin")]
    [InlineData("a\\b")]
    [InlineData("model.onnx")]
    public async Task Weights_anywhere_but_beside_the_model_are_refused(string location) =>
        (await RefusedAsync(TestModels.Scale(external: location), "model_invalid")).Message.ShouldContain(location);

    [Fact]
    public async Task A_model_that_describes_itself_without_end_is_refused() =>
        (await RefusedAsync(TestModels.Scale(metadata: new() { ["padding"] = new string('x', 3 << 20) }), "model_invalid")).Message.ShouldContain("describes itself");

    [Fact]
    public async Task A_file_outside_the_allowed_folders_is_refused() =>
        (await RefusedAsync(new ModelRef("model", new string('0', 64), "file:///etc/hostname"))).Code.ShouldBe("path_outside_roots");

    [Fact]
    public async Task An_absent_file_is_refused() =>
        (await RefusedAsync(new ModelRef("model", new string('0', 64), new Uri(inference.Models["absent.onnx"]).AbsoluteUri))).Code.ShouldBe("model_missing");

    [Fact]
    public async Task Another_file_than_the_one_named_is_refused() =>
        (await RefusedAsync(inference.Conformance("winml_iris_pytorch") with { Sha256 = new string('0', 64) })).Code.ShouldBe("model_changed");

    [Fact]
    public async Task A_model_that_crashes_the_library_is_refused_and_the_worker_lives()
    {
        (await RefusedAsync(TestModels.Crashing(), "model_crashed")).Message.ShouldContain("signal 11");
        await LivesAsync();
    }

    [Theory]
    [InlineData("KILL", "signal 9")]
    public async Task A_model_that_takes_its_process_with_it_is_refused_and_the_worker_lives(string signal, string said)
    {
        var inspection = inference.InspectApartAsync(inference.Add(TestModels.Endless()));
        var child = 0;
        await Eventually.TrueAsync(() => (child = Children().SingleOrDefault()) > 0, "the child");
        using var kill = Process.Start("kill", [$"-{signal}", child.ToString()]);
        await kill.WaitForExitAsync();

        var failure = (await Should.ThrowAsync<FailureException>(() => inspection)).Failure;

        (failure.Code, failure.Message.Contains(said, StringComparison.Ordinal)).ShouldBe(("model_crashed", true), failure.Message);
        await LivesAsync();
    }

    [Theory]
    [InlineData("echo nonsense", "model_crashed", "no report")]
    [InlineData("exit 0", "model_crashed", "no report")]
    [InlineData("echo null", "model_crashed", "reported nothing")]
    [InlineData("echo '{}'", "model_crashed", "reported nothing")]
    [InlineData("echo '{\"model\":{\"sha256\":\"x\"}}'", "model_crashed", "reported nothing")]
    [InlineData("echo '{\"refused\":{\"code\":\"model_invalid\",\"message\":\"Bad.\"}}'", "model_invalid", "Bad.")]
    [InlineData("echo '{\"refused\":{\"code\":\"database_unavailable\",\"message\":\"Bad.\"}}'", "model_crashed", "reported nothing")]
    [InlineData("sleep 40 & echo '{}'", "model_too_slow", "took more than")]
    [InlineData("exec yes", "model_crashed", "more than a report")]
    [InlineData("exec yes >&2", "model_too_slow", "took more than")]
    [InlineData("echo '{}'; exit 3", "model_crashed", "code 3")]
    [InlineData("echo 'terminate called: std::bad_alloc' >&2; exit 134", "model_too_large", "more memory")]
    [InlineData("kill -XCPU $$", "model_too_slow", "took more than")]
    public async Task Whatever_becomes_of_the_process_is_an_answer(string script, string code, string said)
    {
        var failure = (await Should.ThrowAsync<FailureException>(() => RunAsync(script, new InferenceOptions { DryRunSeconds = 1 }))).Failure;

        failure.Code.ShouldBe(code);
        failure.Message.ShouldContain(said);
        Left().ShouldBeEmpty();
    }

    [Fact]
    public async Task Memory_that_no_limit_of_the_process_holds_back_is_seen_and_ended()
    {
        // A program that sets itself no limits, as one might whose model has taken it over.
        var failure = (await Should.ThrowAsync<FailureException>(() => RunAsync(
            "exec awk 'BEGIN { s = \"0123456789abcdef\"; while (1) s = s s }'", new InferenceOptions { DryRunSeconds = 30, InspectMemoryMegabytes = 64 }))).Failure;

        failure.Code.ShouldBe("model_too_large");
    }

    [Fact]
    public async Task The_process_gets_nothing_of_the_workers_environment()
    {
        using var folder = new TestFolder();
        await Should.ThrowAsync<FailureException>(() => RunAsync($"exec /usr/bin/env > {folder["env"]}", new InferenceOptions()));

        (await File.ReadAllLinesAsync(folder["env"])).Select(line => line.Split('=')[0]).Except(["PWD", "SHLVL", "OLDPWD", "_"])
            .ShouldBe(["DOTNET_ROOT", "DOTNET_EnableDiagnostics", "DOTNET_gcServer", "DOTNET_TieredPGO", "TMPDIR"], ignoreOrder: true);
    }

    [Fact]
    public async Task A_process_whose_worker_is_gone_ends()
    {
        using var folder = InspectionFolder.Create(inference.Artifacts, inference.Settings, TimeProvider.System.GetUtcNow());
        var model = inference.Add(TestModels.Endless());
        await folder.AddModelAsync(model.Uri, model.Sha256, null, default);
        folder.AddTask(new InspectionTask(ServiceDefaults.NativeParts.OnnxRuntime(), model.Sha256, null, null, int.MaxValue, 600));
        var start = new ProcessStartInfo(Path.Join(AppContext.BaseDirectory, "GpuWorker"), [InspectionProgram.Argument, $"{4L << 30}", "600"])
        {
            WorkingDirectory = folder.Path,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        };
        using var process = Process.Start(start)!;
        await Eventually.TrueAsync(() => MemoryPeak.Read($"{process.Id}", "VmRSS") > 0, "the process");

        process.StandardInput.Close();

        await process.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(30));
        process.ExitCode.ShouldBe(128 + 9);
    }

    [Fact]
    public async Task Two_at_once_do_not_disturb_each_other()
    {
        var answers = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => inference.InspectApartAsync(inference.Conformance("winml_iris_pytorch"))));

        answers.ShouldAllBe(a => a.Signature.Columns.Count == 3);
        Left().ShouldBeEmpty();
    }

    async Task RunAsync(string script, InferenceOptions options)
    {
        using var scripts = new TestFolder();
        await File.WriteAllTextAsync(scripts["program"], $"#!/bin/sh\n{script}\n");
        File.SetUnixFileMode(scripts["program"], UnixFileMode.UserRead | UnixFileMode.UserExecute);
        using var folder = InspectionFolder.Create(inference.Artifacts, inference.Settings, TimeProvider.System.GetUtcNow());
        await new InspectionProcess(options, TimeProvider.System) { Program = (scripts["program"], null) }.RunAsync(folder, CancellationToken.None);
    }

    Task<Failure> RefusedAsync(byte[] bytes, string code) => RefusedAsync(inference.Add(bytes), code);

    async Task<Failure> RefusedAsync(ModelRef model, string? code = null)
    {
        var failure = (await Should.ThrowAsync<FailureException>(() => inference.InspectApartAsync(model))).Failure;
        if (code is not null)
            failure.Code.ShouldBe(code, failure.Message);
        Left().ShouldBeEmpty();
        return failure;
    }

    async Task LivesAsync()
    {
        (await inference.InspectApartAsync(inference.Conformance("winml_iris_pytorch"))).RowsPerSecond.ShouldBeGreaterThan(0);
        Left().ShouldBeEmpty();
    }

    string[] Left() => Directory.GetDirectories(inference.Tried.Path);

    // Of this process, that look at models. Threads and processes end while they are counted.
    IEnumerable<int> Children() =>
        from task in Directory.GetDirectories("/proc/self/task")
        from id in Text(Path.Join(task, "children")).Split(' ', StringSplitOptions.RemoveEmptyEntries)
        where Text($"/proc/{id}/cmdline").Contains(InspectionProgram.Argument, StringComparison.Ordinal)
            && new FileInfo($"/proc/{id}/cwd").LinkTarget?.StartsWith(inference.Tried.Path, StringComparison.Ordinal) == true
        select int.Parse(id);

    static string Text(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (IOException)
        {
            return "";
        }
    }
}
