using System.Security.Cryptography;
using Contracts;
using GpuWorker.Inference;
using Interop.OnnxRuntime;
using Microsoft.Extensions.Options;

namespace GpuWorker.Tests.Inference;

/// <summary>Models that keep weights in files beside them, as the registry stores them.</summary>
[Collection("Inference")]
public sealed class ExternalDataTests(InferenceFixture inference) : IDisposable
{
    readonly string folder = Directory.CreateDirectory(inference.Models[$"{Guid.CreateVersion7():N}"]).FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public async Task They_are_scored_with_the_weights_beside_them()
    {
        var model = Store(TestModels.Scale(external: "factor.bin"), ("factor.bin", BitConverter.GetBytes(3f)));
        (await inference.InspectApartAsync(model)).Signature.Columns.Count.ShouldBe(2);
        using var cache = new ModelCache(inference.Environment, inference.Artifacts, Options.Create(inference.Settings), Microsoft.Extensions.Logging.Abstractions.NullLogger<ModelCache>.Instance);

        using var lease = await cache.LeaseAsync(model);

        lease.Session.Sha256.ShouldBe(model.Sha256);
        using var x = OnnxValue.Create<float>([1, 2], [1, 2]);
        using var y = lease.Session.Onnx.Run([new OnnxInput("x", x)])[0];
        y.Span<float>().ToArray().ShouldBe([3, 6]);
    }

    [Fact]
    public async Task Weights_that_were_changed_are_found_when_they_are_opened()
    {
        var model = Store(TestModels.Scale(external: "factor.bin"), ("factor.bin", BitConverter.GetBytes(3f)));
        await File.WriteAllBytesAsync(Path.Combine(folder, "factor.bin"), BitConverter.GetBytes(4f));
        using var cache = new ModelCache(inference.Environment, inference.Artifacts, Options.Create(inference.Settings), Microsoft.Extensions.Logging.Abstractions.NullLogger<ModelCache>.Instance);

        (await Should.ThrowAsync<FailureException>(() => cache.LeaseAsync(model))).Failure.Code.ShouldBe("model_changed");
        (await Should.ThrowAsync<FailureException>(() => inference.InspectApartAsync(model))).Failure.Code.ShouldBe("model_changed");
    }

    [Fact]
    public async Task A_link_beside_the_model_is_no_way_to_weights()
    {
        var model = Store(TestModels.Scale(external: "factor.bin"), ("factor.bin", BitConverter.GetBytes(3f)));
        File.Move(Path.Combine(folder, "factor.bin"), Path.Combine(inference.Models.Path, "elsewhere.bin"), overwrite: true);
        File.CreateSymbolicLink(Path.Combine(folder, "factor.bin"), Path.Combine(inference.Models.Path, "elsewhere.bin"));

        Should.Throw<FailureException>(() => inference.Open(model)).Failure.Code.ShouldBe("model_changed");
        (await Should.ThrowAsync<FailureException>(() => inference.InspectApartAsync(model))).Failure.Message.ShouldContain("is a link");
    }

    [Theory]
    [InlineData("4", null, true)]
    [InlineData("4", "4", true)]
    [InlineData("8", null, false)]
    [InlineData("5", "4", false)]
    [InlineData("0", "9", false)]
    public async Task Places_beyond_the_end_of_a_file_are_refused(string offset, string? length, bool isGood)
    {
        var places = new Dictionary<string, string> { ["offset"] = offset };
        if (length is not null)
            places["length"] = length;
        var model = Store(TestModels.Scale(external: "factor.bin", places: places), ("factor.bin", new byte[8]));

        if (isGood)
            (await inference.InspectApartAsync(model)).RowsPerSecond.ShouldBeGreaterThan(0);
        else
            (await Should.ThrowAsync<FailureException>(() => inference.InspectApartAsync(model))).Failure.Code.ShouldBe("model_invalid");
    }

    [Fact]
    public void A_version_is_what_sha256sum_makes_of_the_list()
    {
        ModelFile.VersionOf("m", []).ShouldBe("m");
        ModelFile.VersionOf("m", [("b", "2"), ("a", "1")]).ShouldBe(Convert.ToHexStringLower(SHA256.HashData("m  model.onnx\n1  a\n2  b\n"u8)));
    }

    ModelRef Store(byte[] model, params (string Name, byte[] Bytes)[] others)
    {
        var files = others.Prepend((Name: ModelFile.Model, Bytes: model)).Select(file =>
        {
            File.WriteAllBytes(Path.Combine(folder, file.Name), file.Bytes);
            return new ModelFile(file.Name, Convert.ToHexStringLower(SHA256.HashData(file.Bytes)), file.Bytes.Length);
        }).ToList();
        var version = ModelFile.VersionOf(files[0].Sha256, files.Skip(1).Select(file => (file.Name, file.Sha256)));
        return new ModelRef("model", version, new Uri(Path.Combine(folder, ModelFile.Model)).AbsoluteUri, files);
    }
}
