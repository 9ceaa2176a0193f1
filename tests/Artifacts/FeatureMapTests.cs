using Artifacts.Tabular;
using Contracts;

namespace Artifacts.Tests;

public class FeatureMapTests
{
    static readonly TabularColumn[] Columns =
    [
        new("id", "BIGINT"), new("Age", "INTEGER"), new("income", "DOUBLE"), new("city", "VARCHAR"), new("member", "BOOLEAN"),
        new("since", "TIMESTAMP"), new("rate", "DECIMAL(9,4)"),
    ];

    static ModelSignature Model(params ModelTensor[] inputs) =>
        new(inputs, [], [new("score", "FLOAT", 0, 0)], null, false, true, new Dictionary<string, string>(), "test");

    static ModelTensor Column(string name, string element) => new(name, $"tensor({element})", [-1, 1]);

    static Failure Refused(ModelSignature model, IReadOnlyList<string>? features = null, string[]? keys = null, bool isText = false) =>
        Should.Throw<FailureException>(() => FeatureMap.Resolve(model, Columns, isText, features, keys ?? [])).Failure;

    [Fact]
    public void One_input_per_column_maps_by_name_whatever_its_case()
    {
        var model = Model(Column("age", "float"), Column("income", "float"), Column("city", "string"), new("unused", "tensor(float)", [-1, 1], Optional: true));
        var resolved = FeatureMap.Resolve(model, Columns, false, null, ["id"]);
        resolved.Mapping.Inputs.Select(i => (i.Input, string.Join(',', i.Columns))).ShouldBe([("age", "Age"), ("income", "income"), ("city", "city")]);
        resolved.KeyTypes.ShouldBe(["BIGINT"]);
    }

    [Fact]
    public void One_wide_input_takes_the_features_asked_for_or_those_of_the_model()
    {
        var model = Model(new ModelTensor("x", "tensor(float)", [-1, 2]));
        FeatureMap.Resolve(model, Columns, false, ["income", "Age"], []).Mapping.Inputs.Single().Columns.ShouldBe(["income", "Age"]);
        FeatureMap.Resolve(model with { Features = ["Age", "rate"] }, Columns, false, null, []).Mapping.Inputs.Single().Columns.ShouldBe(["Age", "rate"]);
        FeatureMap.Resolve(model with { Features = ["Age", "rate"] }, Columns, false, ["member", "Age"], []).Mapping.Inputs.Single().Columns.ShouldBe(["member", "Age"]);
    }

    [Fact]
    public void Without_a_list_a_wide_input_is_refused_and_the_columns_shown()
    {
        var failure = Refused(Model(new ModelTensor("x", "tensor(float)", [-1, 2])), keys: ["id"]);
        failure.Code.ShouldBe("columns_mismatch");
        failure.Fields.ShouldHaveSingleItem().ShouldSatisfyAllConditions(
            f => f.Code.ShouldBe("features_unlisted"), f => f.Message.ShouldContain("income"), f => f.Message.ShouldNotContain("id,"));
    }

    [Fact]
    public void Every_bad_column_is_named_at_once()
    {
        var failure = Refused(Model(Column("agee", "float"), Column("city", "float"), Column("since", "float"), Column("income", "int64"), Column("id", "string")), keys: ["nokey"]);
        failure.Code.ShouldBe("columns_mismatch");
        failure.Fields.Select(f => (f.Field, f.Code)).ShouldBe(
        [
            ("columns.agee", "column_missing"), ("columns.city", "column_type_mismatch"), ("columns.since", "column_type_mismatch"),
            ("columns.income", "column_type_mismatch"), ("columns.id", "column_type_mismatch"), ("columns.nokey", "key_column_missing"),
        ]);
        foreach (var field in failure.Fields)
            failure.Message.ShouldContain(field.Message);
    }

    [Fact]
    public void The_wrong_number_of_features_is_refused()
    {
        Refused(Model(new ModelTensor("x", "tensor(float)", [-1, 3])), ["Age", "income"]).Fields[0].Code.ShouldBe("features_mismatch");
        Refused(Model(new ModelTensor("x", "tensor(float)", [-1, 2])), ["Age", "Age"]).Fields[0].Code.ShouldBe("features_mismatch");
        Refused(Model(new ModelTensor("x", "tensor(float)", [-1, -1])) with { Features = ["a", "b", "c"] }, ["Age", "income"]).Fields[0].Code.ShouldBe("features_mismatch");
        Refused(Model(Column("age", "float"), Column("income", "float")), ["Age"]).Fields[0].Code.ShouldBe("features_mismatch");
    }

    [Fact]
    public void A_key_that_would_be_in_the_output_twice_is_refused()
    {
        Refused(Model(Column("age", "float")) with { Columns = [new("ID", "FLOAT", 0, 0)] }, keys: ["id"]).Fields[0].Code.ShouldBe("column_duplicate");
        Refused(Model(Column("age", "float")) with { Columns = [new("record", "FLOAT", 0, 0)] }).Fields[0].Code.ShouldBe("column_duplicate");
        Refused(Model(Column("age", "float")), keys: ["id", "id"]).Fields[0].Code.ShouldBe("column_duplicate");
    }

    [Theory]
    [InlineData("tensor(float)", new long[] { -1, 3, 224, 224 })]
    [InlineData("seq(tensor(float))", null)]
    [InlineData("tensor(complex64)", new long[] { -1, 1 })]
    public void A_model_that_is_not_for_tables_is_refused(string type, long[]? shape) =>
        Refused(Model(new ModelTensor("image", type, shape))).Code.ShouldBe("model_not_tabular");

    [Theory]
    [InlineData("TINYINT", "float", true)]
    [InlineData("HUGEINT", "double", true)]
    [InlineData("DOUBLE", "float", true)]
    [InlineData("DECIMAL(18,2)", "float", true)]
    [InlineData("BOOLEAN", "float", true)]
    [InlineData("BOOLEAN", "int64", true)]
    [InlineData("BIGINT", "int8", true)]
    [InlineData("DECIMAL(18,0)", "int64", true)]
    [InlineData("DECIMAL(18,2)", "int64", false)]
    [InlineData("FLOAT", "int64", false)]
    [InlineData("BIGINT", "bool", false)]
    [InlineData("VARCHAR", "float", false)]
    [InlineData("VARCHAR", "string", true)]
    [InlineData("BIGINT", "string", false)]
    [InlineData("TIMESTAMP", "int64", false)]
    [InlineData("DATE", "float", false)]
    [InlineData("FLOAT[]", "float", false)]
    public void Only_what_loses_nothing_converts(string column, string element, bool allowed) =>
        (ColumnConversion.Refusal(column, isText: false, element) is null).ShouldBe(allowed);

    [Theory]
    [InlineData("VARCHAR", "float", false)]
    [InlineData("DOUBLE", "float", true)]
    [InlineData("BOOLEAN", "float", true)]
    [InlineData("NULL", "float", true)]
    [InlineData("BIGINT", "string", true)]
    public void Text_is_refused_only_when_no_value_of_it_can_be_right(string sample, string element, bool allowed) =>
        (ColumnConversion.Refusal(sample, isText: true, element) is null).ShouldBe(allowed);
}
