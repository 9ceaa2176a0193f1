using Artifacts;
using Consumers.BatchInference;
using Contracts;
using Contracts.BatchInference;
using Interop.DuckDb;
using Sagas.BatchInference;
using Sagas.WorkLedger;
using ServiceDefaults;
using Support;

namespace Consumers.Tests;

/// <summary>A request was judged when it came. Planning and publication judge again: files may have become links since.</summary>
public sealed class TenantFilesTests : IDisposable
{
    readonly TestFolder _folder = new();
    readonly ArtifactStore _store;

    public TenantFilesTests()
    {
        DuckDbLibrary.Load(NativeParts.DuckDb());
        foreach (var name in new[] { "in", "acme", "bob", "out/@acme", "out/@bob" })
            Directory.CreateDirectory(_folder[name]);
        _store = new ArtifactStore(new ArtifactOptions
        {
            InputRoots = [_folder["in"]],
            OutputRoots = [_folder["out"]],
            Tenants = new() { ["acme"] = new() { InputRoots = [_folder["acme"]] }, ["bob"] = new() { InputRoots = [_folder["bob"]] } },
        });
    }

    public void Dispose() => _folder.Dispose();

    BatchJobSpec Spec() => new(
        new InputSpec($"file://{_folder["acme/rows.csv"]}", "csv"), new ModelRef("m", new string('0', 64), "file:///m.onnx"),
        new ModelSignature(
            [new ModelTensor("age", "tensor(float)", [-1, 1])], [new ModelTensor("score", "tensor(float)", [-1, 1])], [new OutputColumn("score", "FLOAT", 0, 0)],
            null, false, true, new Dictionary<string, string>(), "test"),
        new FeatureMapping([new InputColumns("age", ["age"])]), [], new OutputSpec($"file://{_folder["out/@acme"]}", "parquet"), null, 1e6, 0.01, null, 3600, 0);

    static async Task<string> CodeAsync(Func<Task> action) => (await Should.ThrowAsync<FailureException>(action)).Failure.Code;

    [Fact]
    public async Task Planning_opens_only_what_is_the_tenants_own_by_then()
    {
        var planner = new InputPlanner(_store);
        foreach (var name in new[] { "acme", "bob" })
            File.WriteAllText(_folder[$"{name}/rows.csv"], "age\n1\n");
        (await planner.PlanAsync("acme", Spec(), 0, 1, CancellationToken.None)).Units.ShouldHaveSingleItem();

        File.Delete(_folder["acme/rows.csv"]);
        File.CreateSymbolicLink(_folder["acme/rows.csv"], _folder["bob/rows.csv"]);

        (await CodeAsync(() => planner.PlanAsync("acme", Spec(), 0, 1, CancellationToken.None))).ShouldBe("path_outside_roots");
        (await CodeAsync(() => planner.PlanAsync("local", Spec(), 0, 1, CancellationToken.None))).ShouldBe("path_outside_roots");
    }

    [Theory]
    [InlineData("_work")]
    [InlineData("")]
    public async Task Publication_neither_takes_from_anothers_folder_nor_writes_into_it(string swapped)
    {
        var id = Guid.CreateVersion7();
        var (work, bobs) = (_folder[$"out/@acme/{id}/_work"], _folder["out/@bob"]);
        Directory.CreateDirectory(work);
        var digest = await _store.For("acme").WriteAsync($"file://{work}/0.parquet", "bytes"u8.ToArray());
        Directory.Move(work, Path.Combine(bobs, "_work"));
        var link = Path.Combine(_folder[$"out/@acme/{id}"], swapped);
        if (Directory.Exists(link))
            Directory.Delete(link);
        Directory.CreateSymbolicLink(link.TrimEnd('/'), swapped.Length > 0 ? Path.Combine(bobs, "_work") : bobs);
        var job = new WorkJob { Id = id, Tenant = "acme", Kind = BatchWork.Kind, State = WorkJobState.Committed, Spec = WireJson.Write(Spec()), Inputs = "[]" };
        var part = new PartFile($"file://{work}/0.parquet", 1, digest.Length, digest.Sha256);
        var unit = new WorkUnit
        {
            JobId = id,
            Tenant = "acme",
            State = WorkUnitState.Committed,
            Spec = WireJson.Write(new BatchUnit(new RowRange("file:///x", "x", 0, 1, 1, 0))),
            Result = WireJson.Write(new ShardResult(part, null)),
        };

        var failure = await Should.ThrowAsync<FailureException>(() => new ResultPublisher(_store).PublishAsync(job, Spec(), [unit], CancellationToken.None));

        failure.Failure.Code.ShouldBe("path_outside_roots");
        Directory.GetFiles(bobs, "*", SearchOption.AllDirectories).ShouldBe([Path.Combine(bobs, "_work", "0.parquet")]);
    }
}
