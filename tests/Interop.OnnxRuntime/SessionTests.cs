namespace Interop.OnnxRuntime.Tests;

[Collection("ONNX Runtime")]
public sealed class SessionTests(OnnxRuntimeFixture runtime)
{
    [Fact]
    public void A_session_opens_from_bytes_as_from_a_file()
    {
        var bytes = File.ReadAllBytes(Path.Combine(OnnxRuntimeFixture.Find("tests/assets/conformance"), "ort_three_output_matmul", "model.onnx"));
        using var session = OnnxSession.FromBytes(runtime.Environment, bytes);
        session.Outputs.Select(port => port.Name).ShouldBe(["output-0", "output-1", "output-2"]);
        session.Inputs[0].Type.Symbols.ShouldBe(["batch_size", ""]);
        session.Inputs[0].Type.Shape.ShouldBe([-1, 4]);
    }

    [Fact]
    public void Files_that_are_no_model_are_refused()
    {
        Refused(() => OnnxSession.FromFile(runtime.Environment, "/absent/model.onnx")).ShouldBe(OnnxErrorCode.NoSuchFile);
        Refused(() => OnnxSession.FromBytes(runtime.Environment, "this is not a model"u8.ToArray())).ShouldBe(OnnxErrorCode.InvalidProtobuf);
        Refused(() => OnnxSession.FromBytes(runtime.Environment, default)).ShouldBe(OnnxErrorCode.InvalidProtobuf);
    }

    [Fact]
    public void Wrong_inputs_are_refused_by_name()
    {
        using var session = runtime.Open("winml_iris_pytorch");
        using var narrow = OnnxValue.Create<float>([1, 2, 3], [1, 3]);
        using var right = OnnxValue.Create<float>([1, 2, 3, 4], [1, 4]);
        using var integers = OnnxValue.Create<int>([1, 2, 3, 4], [1, 4]);
        Should.Throw<OnnxException>(() => session.Run([new OnnxInput("input", narrow)])).Message.ShouldContain("input");
        Should.Throw<OnnxException>(() => session.Run([new OnnxInput("input", integers)])).Message.ShouldContain("int32");
        Should.Throw<OnnxException>(() => session.Run([])).Message.ShouldContain("input");
        Should.Throw<OnnxException>(() => session.Run([new OnnxInput("wrong", narrow)])).Message.ShouldContain("wrong");
        Should.Throw<OnnxException>(() => session.Run([new OnnxInput("input", right)], ["absent"])).Message.ShouldContain("absent");
        Should.Throw<ArgumentException>(() => session.Run([new OnnxInput("a\0b", narrow)]));
    }

    [Fact]
    public void A_cancelled_run_ends_soon_and_the_session_serves_on()
    {
        // A loop of 2^40 turns: it ends only if it is stopped.
        using var session = OnnxSession.FromBytes(runtime.Environment, TestModels.Endless(), new OnnxSessionOptions { IntraOpThreads = 1 });
        using var turns = OnnxValue.Create<long>([1L << 40], []);
        using var cancel = new CancellationTokenSource(TimeSpan.FromMilliseconds(100));
        var error = Should.Throw<OperationCanceledException>(() => session.Run([new OnnxInput("turns", turns)], cancellationToken: cancel.Token));
        error.CancellationToken.ShouldBe(cancel.Token);

        using var three = OnnxValue.Create<long>([3], []);
        using var sum = session.Run([new OnnxInput("turns", three)])[0];
        sum.Span<float>()[0].ShouldBe(3);
    }

    [Fact]
    public void A_token_cancelled_before_stops_at_once()
    {
        using var session = runtime.Open("ort_types_float");
        using var value = OnnxValue.Create<float>([1, 2, 3, 4, 5], [1, 5]);
        Should.Throw<OperationCanceledException>(() => session.Run([new OnnxInput("input", value)], cancellationToken: new CancellationToken(true)));
    }

    [Fact]
    public void Options_that_were_terminated_serve_again_after_reset()
    {
        using var session = runtime.Open("winml_iris_pytorch");
        using var value = OnnxValue.Create<float>([1, 2, 3, 4], [1, 4]);
        using var options = new OnnxRunOptions();
        options.Terminate();
        Should.Throw<OperationCanceledException>(() => session.Run([new OnnxInput("input", value)], options: options));
        options.Reset();
        session.Run([new OnnxInput("input", value)], options: options)[0].Dispose();
    }

    [Fact]
    public async Task Memory_is_read_while_runs_go_on_until_the_session_is_closed()
    {
        var session = runtime.Open("winml_iris_pytorch");
        using var end = new CancellationTokenSource();
        var runs = Enumerable.Range(0, 4).Select(_ => Task.Run(() =>
        {
            using var value = OnnxValue.Create<float>([1, 2, 3, 4], [1, 4]);
            while (!end.IsCancellationRequested)
            {
                foreach (var output in session.Run([new OnnxInput("input", value)]))
                    output.Dispose();
            }
        })).ToArray();

        for (var i = 0; i < 1000; i++)
        {
            var memory = session.ReadMemory().ShouldHaveSingleItem();
            (memory.Device, memory.LimitBytes).ShouldBe(("Cpu", null));
            memory.HeldBytes.ShouldBeGreaterThan(0);
        }

        await end.CancelAsync();
        await Task.WhenAll(runs);
        session.Dispose();
        Should.Throw<ObjectDisposedException>(() => session.ReadMemory());
    }

    [Fact]
    public async Task Dispose_during_a_run_waits_for_it()
    {
        var session = OnnxSession.FromBytes(runtime.Environment, TestModels.Endless(), new OnnxSessionOptions { IntraOpThreads = 1 });
        using var turns = OnnxValue.Create<long>([1L << 40], []);
        using var cancel = new CancellationTokenSource();
        var started = new TaskCompletionSource();
        var run = Task.Run(() =>
        {
            started.SetResult();
            session.Run([new OnnxInput("turns", turns)], cancellationToken: cancel.Token);
        });
        await started.Task;
        session.Dispose();
        await cancel.CancelAsync();
        // Either the run came first and was stopped, or the dispose came first and the run was refused; memory was there all the time.
        var error = await Should.ThrowAsync<Exception>(run);
        (error is OperationCanceledException or ObjectDisposedException).ShouldBeTrue(error.ToString());
        Should.Throw<ObjectDisposedException>(() => session.Run([new OnnxInput("turns", turns)]));
    }

    [Fact]
    public void A_provider_that_cannot_serve_is_passed_over_with_its_reason()
    {
        using var session = runtime.Open("winml_iris_pytorch", new OnnxSessionOptions
        {
            Providers = [new OnnxProvider("CUDA"), new OnnxProvider("NoSuchProvider"), OnnxProvider.Cpu],
        });
        session.Provider.ShouldBe("CPU");
        session.Refused.Select(one => one.Provider).ShouldBe(["CUDA", "NoSuchProvider"]);
        session.Refused.ShouldAllBe(one => one.Reason.Length > 10);
    }

    [Fact]
    public void Without_any_provider_that_can_serve_every_reason_is_given()
    {
        var error = Should.Throw<OnnxException>(() => runtime.Open("winml_iris_pytorch", new OnnxSessionOptions
        {
            Providers = [new OnnxProvider("NoSuchProvider"), new OnnxProvider("TensorRT")],
        }));
        error.Code.ShouldBe(OnnxErrorCode.ExecutionProviderFailed);
        error.Message.ShouldContain("NoSuchProvider: ");
        error.Message.ShouldContain("TensorRT: ");
    }

    [Fact]
    public void A_plug_in_library_that_is_absent_is_refused() =>
        Should.Throw<OnnxException>(() => runtime.Environment.RegisterProviderLibrary("test", "/absent/libprovider.so"))
            .Message.ShouldContain("libprovider.so");

    [Fact]
    public void A_binding_runs_into_given_and_made_outputs()
    {
        using var session = runtime.Open("ort_three_output_matmul");
        using var input = OnnxValue.Create<float>([1, 2, 3, 4], [1, 4]);
        using var given = OnnxValue.Allocate(OnnxElementType.Float, [1, 4]);
        using var binding = new OnnxBinding(session);
        binding.BindInput("input", input);
        binding.BindOutput("output-0", given);
        binding.BindOutput("output-1");
        binding.BindOutput("output-2");
        binding.Run();
        var outputs = binding.Outputs();
        var expected = session.Run([new OnnxInput("input", input)]);
        outputs.Select(one => one.Name).ShouldBe(["output-0", "output-1", "output-2"]);
        for (var i = 0; i < 3; i++)
            outputs[i].Value.Span<float>().ToArray().ShouldBe(expected[i].Span<float>().ToArray());
        given.Span<float>().ToArray().ShouldBe(expected[0].Span<float>().ToArray());
        foreach (var value in expected.Concat(outputs.Select(one => one.Value)))
            value.Dispose();
        binding.ClearInputs();
        binding.ClearOutputs();
        Should.Throw<OnnxException>(() => binding.Run());
    }

    [Fact]
    public void A_lora_adapter_from_bytes_acts_as_one_from_a_file()
    {
        var folder = Path.Combine(OnnxRuntimeFixture.Find("tests/assets/conformance"), "ort_lora_two_params");
        using var session = OnnxSession.FromFile(runtime.Environment, Path.Combine(folder, "two_params_lora_model.onnx"));
        using var adapter = OnnxLoraAdapter.FromBytes(File.ReadAllBytes(Path.Combine(folder, "two_params_lora_model.onnx_adapter")));
        using var options = new OnnxRunOptions();
        options.AddAdapter(adapter);
        using var input = OnnxValue.Create<float>([.. Enumerable.Repeat(1f, 16)], [4, 4]);
        using var output = session.Run([new OnnxInput("input_x", input)], options: options)[0];
        output.Span<float>()[..4].ToArray().ShouldBe([154, 176, 198, 220]);
        Should.Throw<OnnxException>(() => OnnxLoraAdapter.FromBytes("no adapter"u8));
    }

    static OnnxErrorCode Refused(Func<OnnxSession> open)
    {
        var error = Should.Throw<OnnxException>(open);
        error.Message.ShouldNotBeEmpty();
        return error.Code;
    }
}
