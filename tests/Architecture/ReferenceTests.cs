namespace Architecture.Tests;

public sealed class ReferenceTests
{
    static readonly IReadOnlyList<ProjectFile> Projects = Repository.Projects;
    static readonly string[] Ours = [.. Projects.Select(p => p.Name)];

    [Fact]
    public void Hosts_never_reference_hosts()
    {
        ReferenceRules.HostsThatReferenceHosts(Projects).ShouldBeEmpty();
        foreach (var host in new[] { "Api", "Consumers", "GpuWorker" })
            ReferenceRules.Barred(Repository.Assembly(host), [.. new[] { "Api", "Consumers", "GpuWorker", "Standalone" }.Where(h => h != host)]).ShouldBeEmpty();
    }

    [Theory]
    [InlineData("Interop.DuckDb")]
    [InlineData("Interop.OnnxRuntime")]
    public void Bindings_reference_nothing_of_ours(string binding)
    {
        var project = Projects.Single(p => p.Name == binding);
        project.Projects.ShouldBeEmpty();
        project.Packages.ShouldBeEmpty();
        Repository.Assembly(binding).References.Intersect(Ours).ShouldBeEmpty();
    }

    [Fact]
    public void The_worker_has_no_database()
    {
        string[] barred = ["Microsoft.EntityFrameworkCore", "Npgsql", "Sagas", "Messaging.Postgres"];
        ReferenceRules.Barred(Projects, "GpuWorker", barred).ShouldBeEmpty();
        foreach (var project in ReferenceRules.Closure(Projects, "GpuWorker"))
            ReferenceRules.Barred(Repository.Assembly(project.Name), barred).ShouldBeEmpty();
    }

    [Fact]
    public void The_wire_format_needs_nothing_but_the_framework()
    {
        var contracts = Projects.Single(p => p.Name == "Contracts");
        contracts.Projects.ShouldBeEmpty();
        contracts.Packages.ShouldBeEmpty();
        Repository.Assembly("Contracts").References.ShouldAllBe(r => r.StartsWith("System.", StringComparison.Ordinal));
    }

    [Fact]
    public void Messaging_knows_no_pipeline_and_no_ledger()
    {
        // Of Contracts it may know what a failure is, and nothing that belongs to a pipeline.
        string[] barred = [.. Ours.Except(["Messaging", "Messaging.Postgres", "Contracts"])];
        string[] worlds = [.. Repository.Pipelines, "WorkLedger"];
        ReferenceRules.Barred(Projects, "Messaging.Postgres", barred).ShouldBeEmpty();
        foreach (var name in new[] { "Messaging", "Messaging.Postgres" })
        {
            var assembly = Repository.Assembly(name);
            assembly.References.Intersect(barred).ShouldBeEmpty();
            assembly.Uses.Where(use => use.Used.Split('.').Intersect(worlds).Any()).ShouldBeEmpty();
        }
    }

    [Theory]
    [InlineData("Interop.DuckDb")]
    [InlineData("Interop.OnnxRuntime")]
    [InlineData("Artifacts")]
    public void Bindings_and_artifacts_know_no_bus(string name)
    {
        ReferenceRules.Barred(Projects, name, "MassTransit", "Messaging").ShouldBeEmpty();
        ReferenceRules.Barred(Repository.Assembly(name), "MassTransit", "Messaging").ShouldBeEmpty();
        Repository.Files($"src/{name}").Where(f => Repository.Text(f).Contains("MassTransit", StringComparison.Ordinal)).ShouldBeEmpty();
    }

    [Fact]
    public void Every_project_is_in_the_solution()
    {
        var solution = Repository.Text("Sagas.sln").Replace('\\', '/');
        Repository.Files().Where(f => f.EndsWith(".csproj", StringComparison.Ordinal) && !solution.Contains($"\"{f}\"", StringComparison.Ordinal)).ShouldBeEmpty();
    }

    [Fact]
    public void A_host_is_found_behind_another_project() =>
        ReferenceRules.HostsThatReferenceHosts([new("Api", ["Shared"], []), new("Shared", ["Consumers"], []), new("Consumers", [], [])])
            .ShouldBe(["Api references Consumers"]);

    [Fact]
    public void Standalone_may_have_all_hosts() =>
        ReferenceRules.HostsThatReferenceHosts([new("Standalone", ["Api"], []), new("Api", [], [])]).ShouldBeEmpty();

    [Fact]
    public void A_barred_package_is_found_behind_another_project_and_under_a_longer_name() =>
        ReferenceRules.Barred([new("GpuWorker", ["Shared"], []), new("Shared", [], ["Npgsql.EntityFrameworkCore.PostgreSQL", "NpgsqlLike"])], "GpuWorker", "Npgsql")
            .ShouldBe(["GpuWorker has Npgsql.EntityFrameworkCore.PostgreSQL by way of Shared"]);

    [Fact]
    public void What_an_assembly_was_compiled_against_is_found() =>
        ReferenceRules.Barred(Repository.Assembly("Messaging.Postgres"), "Npgsql").ShouldContain("Messaging.Postgres was compiled against Npgsql");
}
