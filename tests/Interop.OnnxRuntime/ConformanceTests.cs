using System.Text.Json;

namespace Interop.OnnxRuntime.Tests;

/// <summary>Every model of tests/assets/conformance and of the folder that SAGAS_CONFORMANCE names.</summary>
[Collection("ONNX Runtime")]
public sealed class ConformanceTests(OnnxRuntimeFixture runtime)
{
    static readonly string[] Folders =
    [
        OnnxRuntimeFixture.Find("tests/assets/conformance"),
        .. Environment.GetEnvironmentVariable("SAGAS_CONFORMANCE") is { Length: > 0 } extra ? [extra] : Array.Empty<string>(),
    ];

    public static TheoryData<string> Positives() => Models(negative: false);

    public static TheoryData<string> Negatives() => Models(negative: true);

    [Theory, MemberData(nameof(Positives))]
    public void Every_case_gives_the_expected_outputs(string folder)
    {
        using var session = Open(folder);
        var cases = Directory.GetFiles(folder, "case_*.json");
        cases.ShouldNotBeEmpty();
        foreach (var file in cases)
            Run(session, file);
    }

    [Theory, MemberData(nameof(Positives))]
    public void Names_types_and_shapes_are_those_of_the_model(string folder)
    {
        using var session = Open(folder);
        using var info = JsonDocument.Parse(File.ReadAllText(Path.Combine(folder, "info.json")));
        Compare(session.Inputs, info.RootElement.GetProperty("inputs"));
        Compare(session.Outputs, info.RootElement.GetProperty("outputs"));
        // Before version 4 of the format every initializer was listed as an input, and ONNX Runtime lets none of them be overridden.
        if (info.RootElement.TryGetProperty("overridable_initializers", out var names) && info.RootElement.GetProperty("ir_version").GetInt32() >= 4)
        {
            // The list in the file may be cut short.
            var all = session.OverridableInitializers.Select(port => port.Name).ToHashSet();
            names.EnumerateArray().ShouldAllBe(name => all.Contains(name.GetString()!));
        }
        if (info.RootElement.TryGetProperty("producer", out var producer))
            producer.GetString().ShouldNotBeNull().ShouldStartWith(session.Info.Producer);
    }

    [Theory, MemberData(nameof(Negatives))]
    public void A_model_that_cannot_run_is_refused_by_name(string folder)
    {
        var error = Should.Throw<OnnxException>(() =>
        {
            using var session = Open(folder);
            foreach (var file in Directory.GetFiles(folder, "case_*.json"))
                Run(session, file);
        });
        error.Code.ShouldNotBe(OnnxErrorCode.Ok);
        error.Message.Length.ShouldBeGreaterThan(20);
        using var info = JsonDocument.Parse(File.ReadAllText(Path.Combine(folder, "info.json")));
        if (info.RootElement.TryGetProperty("ops", out var operators))
        {
            var names = operators.EnumerateObject().Select(op => op.Name[(op.Name.LastIndexOf('.') + 1)..]);
            names.ShouldContain(name => error.Message.Contains(name, StringComparison.Ordinal));
        }
    }

    [Theory, MemberData(nameof(Positives)), MemberData(nameof(Negatives))]
    public void The_file_itself_tells_its_operators_and_their_versions(string folder)
    {
        var file = OnnxModelFile.Parse(File.ReadAllBytes(Directory.GetFiles(folder, "*.onnx").Single()));
        using var info = JsonDocument.Parse(File.ReadAllText(Path.Combine(folder, "info.json")));
        file.IrVersion.ShouldBe(info.RootElement.GetProperty("ir_version").GetInt64());
        file.Producer.ShouldBe(info.RootElement.GetProperty("producer").GetString());
        file.Opsets.Select(one => $"{one.Key} {one.Value}").ShouldBe(
            info.RootElement.GetProperty("opset").EnumerateObject().Select(one => $"{one.Name} {one.Value}"), ignoreOrder: true);
        file.Operators.Select(one => one.Domain == "ai.onnx" ? one.Name : $"{one.Domain}.{one.Name}").ShouldBe(
            info.RootElement.GetProperty("ops").EnumerateObject().Select(one => one.Name), ignoreOrder: true);
        file.ExternalFiles.ShouldBeEmpty();
    }

    static TheoryData<string> Models(bool negative)
    {
        var data = new TheoryData<string>();
        foreach (var info in Folders.SelectMany(folder => Directory.GetFiles(folder, "info.json", SearchOption.AllDirectories)).Order())
        {
            using var document = JsonDocument.Parse(File.ReadAllText(info));
            if ((document.RootElement.TryGetProperty("negative", out var flag) && flag.GetBoolean()) == negative)
                data.Add(Path.GetDirectoryName(info)!);
        }
        return data;
    }

    OnnxSession Open(string folder) =>
        OnnxSession.FromFile(runtime.Environment, Directory.GetFiles(folder, "*.onnx").Single(), new OnnxSessionOptions { IntraOpThreads = 1 });

    void Run(OnnxSession session, string file)
    {
        using var document = JsonDocument.Parse(File.ReadAllText(file));
        var root = document.RootElement;
        var values = new CaseValues(runtime.Environment, Path.GetDirectoryName(file)!);
        var tolerance = new Tolerance(root.GetProperty("rtol").GetDouble(), root.GetProperty("atol").GetDouble());

        using var options = new OnnxRunOptions();
        using var adapter = root.TryGetProperty("adapter", out var adapterFile)
            ? OnnxLoraAdapter.FromFile(Path.Combine(Path.GetDirectoryName(file)!, adapterFile.GetString()!))
            : null;
        if (adapter is not null)
            options.AddAdapter(adapter);

        var inputs = new List<OnnxInput>();
        IReadOnlyList<OnnxValue> outputs = [];
        try
        {
            foreach (var input in root.GetProperty("inputs").EnumerateArray())
            {
                var name = input.GetProperty("name").GetString()!;
                inputs.Add(new OnnxInput(name, values.Read(input, session.Inputs.FirstOrDefault(port => port.Name == name)?.Type)));
            }
            foreach (var port in session.Inputs)
            {
                if (port.Type.Kind == OnnxKind.Optional && inputs.All(input => input.Name != port.Name))
                    inputs.Add(new OnnxInput(port.Name, OnnxValue.None(runtime.Environment, port.Type.Inner!)));
            }
            var expected = root.GetProperty("expected").EnumerateArray().ToArray();
            outputs = session.Run([.. inputs], [.. expected.Select(one => one.GetProperty("name").GetString()!)], options);
            for (var i = 0; i < expected.Length; i++)
                values.ShouldMatch(outputs[i], expected[i], tolerance, $"{Path.GetFileName(file)} {expected[i].GetProperty("name")}");
        }
        finally
        {
            foreach (var value in outputs.Concat(inputs.Select(input => input.Value)))
                value.Dispose();
        }
    }

    static void Compare(IReadOnlyList<OnnxPort> ports, JsonElement expected)
    {
        ports.Select(port => port.Name).ShouldBe(expected.EnumerateArray().Select(one => one.GetProperty("name").GetString()!));
        foreach (var (port, one) in ports.Zip(expected.EnumerateArray()))
        {
            port.Type.ToString().ShouldBe(one.GetProperty("type").GetString(), port.Name);
            if (!one.TryGetProperty("shape", out var shape) || shape.ValueKind != JsonValueKind.Array)
                continue;
            var declared = shape.EnumerateArray().ToArray();
            port.Type.Shape.ShouldNotBeNull(port.Name).Count.ShouldBe(declared.Length, port.Name);
            for (var i = 0; i < declared.Length; i++)
            {
                if (declared[i].ValueKind == JsonValueKind.String)
                    port.Type.Symbols![i].ShouldBe(declared[i].GetString(), port.Name);
                // A dimension declared 0 means any size, which ONNX Runtime may have worked out since.
                else if (declared[i].GetInt64() > 0)
                    port.Type.Shape[i].ShouldBe(declared[i].GetInt64(), port.Name);
            }
        }
    }
}
