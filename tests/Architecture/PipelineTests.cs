namespace Architecture.Tests;

public sealed class PipelineTests
{
    static readonly IReadOnlyList<string> Pipelines = Repository.Pipelines;

    [Fact]
    public void Batch_inference_is_a_pipeline() => Pipelines.ShouldContain("BatchInference");

    [Fact]
    public void No_pipeline_uses_another_and_the_ledger_uses_none()
    {
        foreach (var project in Repository.Projects)
            PipelineRules.Crossings(Repository.Assembly(project.Name).Uses, Pipelines).ShouldBeEmpty();
    }

    [Fact]
    public void No_source_file_of_a_pipeline_or_the_ledger_names_another_pipeline()
    {
        foreach (var file in Repository.Files("src").Where(f => f.EndsWith(".cs", StringComparison.Ordinal)))
        {
            PipelineRules.CrossingsInText(file, Repository.Text(file), Pipelines).ShouldBeEmpty();
            PipelineRules.Strangers(file, Repository.Text(file), Pipelines).ShouldBeEmpty();
        }
    }

    [Fact]
    public void Every_way_of_using_a_type_is_found()
    {
        string[] pipelines = ["Film", "Sound"];
        var uses = CompiledAssembly.Read(typeof(PipelineTests).Assembly.Location).Uses;

        PipelineRules.Crossings(uses, pipelines).Select(c => c.Split(' ')[0].Split('.')[^1]).Distinct().Order().ShouldBe(
            ["AsArgument", "AsBase", "AsCall", "AsLedger", "AsLocal", "AsProperty", "AsTypeArgument", "InALambda"]);
    }

    [Fact]
    public void A_name_in_the_text_is_found()
    {
        string[] pipelines = ["Film", "Sound"];

        PipelineRules.CrossingsInText("src/Sagas/WorkLedger/X.cs", "using Contracts.Sound;", pipelines).ShouldNotBeEmpty();
        PipelineRules.CrossingsInText("src/Sagas/Film/X.cs", "using Contracts.Sound;", pipelines).ShouldNotBeEmpty();
        PipelineRules.CrossingsInText("src/Sagas/Film/X.cs", "using Contracts.Film;", pipelines).ShouldBeEmpty();
        PipelineRules.CrossingsInText("src/Standalone/X.cs", "using Contracts.Sound;", pipelines).ShouldBeEmpty();
        PipelineRules.Strangers("src/Sagas/Film/X.cs", "namespace Sagas;", pipelines).ShouldNotBeEmpty();
        PipelineRules.Strangers("src/Sagas/Film/X.cs", "namespace Sagas.Film;", pipelines).ShouldBeEmpty();
    }
}
