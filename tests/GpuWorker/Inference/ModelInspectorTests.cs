using Contracts;
using Interop.OnnxRuntime;

namespace GpuWorker.Tests.Inference;

[Collection("Inference")]
public sealed class ModelInspectorTests(InferenceFixture inference)
{
    [Theory]
    [InlineData("winml_iris_pytorch", "output_0 FLOAT, output_1 FLOAT, output_2 FLOAT")]
    [InlineData("go_sklearn_randomforest_iris", "output_label BIGINT, output_probability_0 FLOAT, output_probability_1 FLOAT, output_probability_2 FLOAT")]
    [InlineData("ort_logreg_iris_zipmap", "label BIGINT, probabilities_0 FLOAT, probabilities_1 FLOAT, probabilities_2 FLOAT")]
    [InlineData("ort_tree_ensemble_double", "variable DOUBLE")]
    [InlineData("ort_label_encoder_string", "variable BIGINT")]
    [InlineData("ort_fp16_to_fp32", "output_0 FLOAT, output_1 FLOAT, output_2 FLOAT, output_3 FLOAT, output_4 FLOAT")]
    [InlineData("ort_types_bool", "output_0 BOOLEAN, output_1 BOOLEAN, output_2 BOOLEAN, output_3 BOOLEAN, output_4 BOOLEAN")]
    [InlineData("onnx_string_concat_utf8", "result VARCHAR")]
    [InlineData("ort_partial_inputs_3in_3out", "ab:0 FLOAT, bc:0 FLOAT, abc:0 FLOAT")]
    public void Output_columns_are_named_and_typed(string model, string expected)
    {
        var inspected = inference.Inspect(inference.Conformance(model));
        string.Join(", ", inspected.Signature.Columns.Select(column => $"{column.Name} {column.Type}")).ShouldBe(expected);
        inspected.RowsPerSecond.ShouldBeGreaterThan(0);
    }

    [Fact]
    public void The_signature_is_what_the_file_says()
    {
        var model = inference.Conformance("mlnet_breast_cancer_multiclass");
        var inspected = inference.Inspect(model);
        inspected.Sha256.ShouldBe(model.Sha256);
        var signature = inspected.Signature;
        signature.Inputs.Select(input => $"{input.Name} {input.Type} [{string.Join(",", input.Shape!)}]")
            .ShouldBe(["Label tensor(string) [1,1]", "Features tensor(float) [1,8]"]);
        signature.Producer.ShouldStartWith("ML.NET");
        signature.Columns.Count.ShouldBe(1 + 8 + 1 + 10);
        signature.Features.ShouldBeNull();
        signature.AllowNaN.ShouldBeTrue();
        signature.AllowMissing.ShouldBeFalse();
    }

    [Fact]
    public void A_dimension_declared_zero_takes_any_number_of_rows()
    {
        var signature = inference.Inspect(inference.Conformance("go_sklearn_randomforest_iris")).Signature;
        signature.Inputs[0].Shape.ShouldBe([-1, 4]);
        signature.Columns[1].Key.ShouldBe("0");
    }

    [Theory]
    [InlineData("light_squeezenet", "model_shape_unfeedable", "data_0, tensor(float) of shape [1, 3, 224, 224]")]
    [InlineData("silero_vad", "model_shape_unfeedable", "input, tensor(float) of shape [any, any]")]
    [InlineData("ort_sequence_length", "model_shape_unfeedable", "X, seq(tensor(float))")]
    [InlineData("ort_zipmap_stringfloat", "model_shape_unfeedable", "X, tensor(float),")]
    [InlineData("onnx_ai_onnx_ml_array_feature_extractor", "model_shape_unfeedable", "x 3, y 2")]
    [InlineData("onnx_qlinearconv", "model_shape_unfeedable", "x_scale, tensor(float) of shape []")]
    [InlineData("onnx_optional_get_element_optional_tensor", "model_shape_unfeedable", "no input that must be fed")]
    [InlineData("onnx_dynamicquantizelinear", "model_output_unusable", "y_scale")]
    public void A_model_that_no_table_can_feed_takes_tensors_and_says_why(string model, string code, string said)
    {
        var inspected = inference.Inspect(inference.Conformance(model));
        inspected.Signature.NotTabular!.Code.ShouldBe(code);
        inspected.Signature.NotTabular.Message.ShouldContain(said, Case.Sensitive);
        inspected.Signature.Columns.ShouldBeEmpty();
        inspected.Signature.Outputs.ShouldNotBeEmpty();
        inspected.RowsPerSecond.ShouldBe(0);
    }

    [Theory]
    [InlineData("light_squeezenet")]
    [InlineData("silero_vad")]
    [InlineData("onnx_qlinearconv")]
    [InlineData("onnx_lstm_with_peepholes")]
    [InlineData("ort_mobilenet_v3_excerpt")]
    [InlineData("mnist_cntk_3sets")]
    public void A_model_that_takes_tensors_was_seen_to_run(string model) => inference.Inspect(inference.Conformance(model)).Signature.NotTried.ShouldBeNull();

    [Theory]
    [InlineData("neg_custom_op", "model_unsupported_operator", "test.customop.CustomOpOne")]
    [InlineData("onnx_image_decoder_decode_png_rgb", "model_unsupported_operator", "ImageDecoder")]
    public void A_model_that_cannot_run_here_is_refused(string model, string code, string said)
    {
        var failure = Refused(inference.Conformance(model));
        failure.Code.ShouldBe(code);
        failure.Message.ShouldContain(said, Case.Sensitive);
    }

    [Theory]
    [InlineData("")]
    [InlineData("<html>not found</html>")]
    [InlineData("version https://git-lfs.github.com/spec/v1")]
    public void A_file_that_is_no_model_is_refused(string text) =>
        Refused(inference.Add(System.Text.Encoding.UTF8.GetBytes(text))).Code.ShouldBe("model_invalid");

    [Fact]
    public void A_model_cut_short_anywhere_or_changed_is_refused_or_read_and_never_worse()
    {
        var whole = File.ReadAllBytes(new Uri(inference.Conformance("ort_logreg_iris_zipmap").Uri).LocalPath);
        for (var length = 0; length < whole.Length; length += 13)
            Refused(inference.Add(whole[..length])).Code.ShouldStartWith("model_");
        var random = new Random(1);
        for (var i = 0; i < 60; i++)
        {
            var broken = (byte[])whole.Clone();
            broken[random.Next(broken.Length)] ^= (byte)(1 << random.Next(8));
            try
            {
                using var session = inference.Open(inference.Add(broken));
            }
            catch (FailureException error)
            {
                error.Failure.Code.ShouldStartWith("model_");
            }
        }
    }

    [Fact]
    public void Another_file_than_the_one_registered_is_refused()
    {
        var model = inference.Conformance("winml_iris_pytorch");
        Refused(model with { Sha256 = new string('0', 64) }).Code.ShouldBe("model_changed");
    }

    [Theory]
    [InlineData("/etc/passwd", "outside its folder")]
    [InlineData("../weights.bin", "outside its folder")]
    [InlineData("absent.bin", "is not there")]
    public void Weights_outside_the_models_folder_are_refused(string location, string said)
    {
        var failure = Refused(inference.Add(TestModels.Scale(external: location)));
        failure.Code.ShouldBe("model_invalid");
        failure.Message.ShouldContain(said);
    }

    [Fact]
    public void A_link_out_of_the_models_folder_is_no_way_to_weights()
    {
        File.CreateSymbolicLink(inference.Models["linked.bin"], "/etc/passwd");
        Refused(inference.Add(TestModels.Scale(external: "linked.bin"))).Message.ShouldContain("outside its folder");
    }

    [Fact]
    public void Metadata_names_features_and_classes_and_says_what_is_forbidden()
    {
        var model = inference.Add(TestModels.Scale(metadata: new()
        {
            ["features"] = """["age", "income"]""",
            ["classes"] = """["no", "yes"]""",
            ["missing"] = "nan",
            ["nan"] = "forbid",
        }));
        var signature = inference.Inspect(model).Signature;
        signature.Features.ShouldBe(["age", "income"]);
        signature.Columns.Select(column => column.Name).ShouldBe(["y_no", "y_yes"]);
        (signature.AllowMissing, signature.AllowNaN).ShouldBe((true, false));
        signature.Metadata["nan"].ShouldBe("forbid");
    }

    [Theory]
    [InlineData("features", "age, income", "JSON array")]
    [InlineData("features", """["age"]""", "lists 1 features")]
    [InlineData("features", """["age", "Age"]""", "2 times")]
    [InlineData("nan", "perhaps", "must be allow or forbid")]
    public void Metadata_that_make_no_sense_are_refused(string key, string value, string said)
    {
        var failure = Refused(inference.Add(TestModels.Scale(metadata: new() { [key] = value })));
        failure.Code.ShouldBe("model_invalid");
        failure.Message.ShouldContain(said);
    }

    [Fact]
    public void A_model_that_never_ends_is_refused_in_time() =>
        Refused(inference.Add(TestModels.Endless())).Code.ShouldBe("model_too_slow");

    Failure Refused(ModelRef model) => Should.Throw<FailureException>(() => inference.Inspect(model)).Failure;
}
