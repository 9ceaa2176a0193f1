using System.Runtime.InteropServices;
using System.Text;

namespace Interop.OnnxRuntime.Tests;

[Collection("ONNX Runtime")]
public sealed unsafe class ValueTests(OnnxRuntimeFixture runtime)
{
    [Fact]
    public void Every_element_type_comes_back_as_it_went_in()
    {
        RoundTrip<float>([1.5f, float.NaN]);
        RoundTrip<double>([1.5, double.MaxValue]);
        RoundTrip<long>([long.MinValue, 9007199254740993]);
        RoundTrip<int>([int.MinValue, 7]);
        RoundTrip<short>([short.MinValue, 7]);
        RoundTrip<sbyte>([sbyte.MinValue, 7]);
        RoundTrip<ulong>([ulong.MaxValue, 7]);
        RoundTrip<uint>([uint.MaxValue, 7]);
        RoundTrip<ushort>([ushort.MaxValue, 7]);
        RoundTrip<byte>([byte.MaxValue, 7]);
        RoundTrip<bool>([true, false]);
        RoundTrip<Half>([Half.MaxValue, (Half)0.5f]);
        RoundTrip<BrainFloat>([(BrainFloat)1.5f, (BrainFloat)float.PositiveInfinity]);
    }

    [Fact]
    public void Bfloat16_rounds_half_to_even_and_keeps_nan()
    {
        ((BrainFloat)1.0f).Bits.ShouldBe((ushort)0x3F80);
        ((BrainFloat)BitConverter.UInt32BitsToSingle(0x3F80_8000)).Bits.ShouldBe((ushort)0x3F80);
        ((BrainFloat)BitConverter.UInt32BitsToSingle(0x3F81_8000)).Bits.ShouldBe((ushort)0x3F82);
        float.IsNaN((BrainFloat)float.NaN).ShouldBeTrue();
    }

    [Fact]
    public void Strings_keep_embedded_nuls_and_any_unicode()
    {
        string[] texts = ["a\0b", "", "\0", "的中", "😀", "plain"];
        using var value = OnnxValue.CreateStrings(texts, [2, 3]);
        value.Strings().ShouldBe(texts);
        value.Shape.ShouldBe([2, 3]);
    }

    [Fact]
    public void Strings_with_nuls_pass_through_a_model()
    {
        using var session = runtime.Open("onnx_string_concat_utf8");
        using var x = OnnxValue.CreateStrings(["a\0b", "ü"], [2]);
        using var y = OnnxValue.CreateStrings(["\0", "x"], [2]);
        using var result = session.Run([new OnnxInput("x", x), new OnnxInput("y", y)])[0];
        result.Strings().ShouldBe(["a\0b\0", "üx"]);
    }

    [Fact]
    public void Strings_can_be_set_and_read_as_bytes_without_a_copy_of_each()
    {
        using var value = OnnxValue.Allocate(OnnxElementType.String, [3]);
        value.SetString(0, "ab"u8);
        value.SetString(2, "c\0d"u8);
        byte[] bytes = [];
        nuint[] offsets = [];
        value.Utf8(ref bytes, ref offsets).ShouldBe(3);
        offsets.AsSpan(0, 4).ToArray().ShouldBe([0, 2, 2, 5]);
        Encoding.UTF8.GetString(bytes, 0, 5).ShouldBe("abc\0d");
        var (sameBytes, sameOffsets) = (bytes, offsets);
        value.Utf8(ref bytes, ref offsets);
        (bytes, offsets).ShouldBe((sameBytes, sameOffsets));
    }

    [Fact]
    public void A_tensor_over_native_memory_sees_what_is_written_later_and_leaves_the_memory_to_its_owner()
    {
        var memory = (float*)NativeMemory.Alloc(3, sizeof(float));
        var value = OnnxValue.Over(memory, 3 * sizeof(float), OnnxElementType.Float, [3]);
        memory[1] = 42;
        value.Span<float>()[1].ShouldBe(42);
        value.Dispose();
        memory[1].ShouldBe(42);
        NativeMemory.Free(memory);
    }

    [Fact]
    public void An_item_outlives_its_sequence_and_a_sequence_its_items()
    {
        var first = OnnxValue.Create<float>([1, 2], [2]);
        var sequence = OnnxValue.Sequence([first]);
        first.Dispose();
        using var item = sequence.Item(0);
        sequence.Dispose();
        item.Span<float>().ToArray().ShouldBe([1, 2]);
    }

    [Fact]
    public void Maps_are_made_and_read()
    {
        using var keys = OnnxValue.CreateStrings(["b", "a"], [2]);
        using var values = OnnxValue.Create<float>([2, 1], [2]);
        using var map = OnnxValue.Map(keys, values);
        map.Kind.ShouldBe(OnnxKind.Map);
        using var readKeys = map.MapKeys();
        using var readValues = map.MapValues();
        readKeys.Strings().Zip(readValues.Span<float>().ToArray()).ShouldBe([("a", 1f), ("b", 2f)], ignoreOrder: true);
    }

    [Fact]
    public void Empty_tensors_sequences_and_optionals_exist()
    {
        using var tensor = OnnxValue.Create<float>([], [0, 4]);
        tensor.Span<float>().Length.ShouldBe(0);
        using var borrowed = OnnxValue.Over(null, 0, OnnxElementType.Int64, [0]);
        borrowed.Length.ShouldBe(0);
        using var texts = OnnxValue.CreateStrings([], [0]);
        texts.Strings().ShouldBeEmpty();
        using var sequence = OnnxValue.EmptySequence(runtime.Environment, OnnxElementType.Int64);
        sequence.Kind.ShouldBe(OnnxKind.Sequence);
        sequence.Count.ShouldBe(0);
        using var none = OnnxValue.None(runtime.Environment, new OnnxType(OnnxKind.Tensor, OnnxElementType.Float, null, null, null));
        none.HasValue.ShouldBeFalse();
    }

    [Fact]
    public void An_empty_sequence_can_be_fed()
    {
        using var session = runtime.Open("ort_sequence_length");
        using var sequence = OnnxValue.EmptySequence(runtime.Environment, OnnxElementType.Float);
        using var length = session.Run([new OnnxInput("X", sequence)])[0];
        length.Span<long>()[0].ShouldBe(0);
    }

    [Fact]
    public void A_wrong_element_type_or_size_is_refused()
    {
        using var value = OnnxValue.Create<float>([1, 2], [2]);
        Should.Throw<InvalidOperationException>(() => value.Span<int>().Length).Message.ShouldBe("The tensor holds float, not int32.");
        Should.Throw<ArgumentException>(() => OnnxValue.Create<float>([1, 2], [3])).Message.ShouldContain("[3]");
        Should.Throw<ArgumentException>(() => OnnxValue.CreateStrings(["a"], [2]));
        Should.Throw<ArgumentOutOfRangeException>(() => OnnxValue.Allocate(OnnxElementType.Float, [-1]));
        Should.Throw<OverflowException>(() => OnnxValue.Allocate(OnnxElementType.Float, [long.MaxValue, 4]));
        Should.Throw<ArgumentException>(() => OnnxValue.Over((void*)1, 4, OnnxElementType.Float, [2]));
        Should.Throw<ArgumentException>(() => OnnxValue.Sequence([]));
        Should.Throw<InvalidOperationException>(value.MapKeys);
    }

    [Fact]
    public void A_disposed_value_says_so()
    {
        var value = OnnxValue.Create<float>([1], [1]);
        value.Dispose();
        value.Dispose();
        Should.Throw<ObjectDisposedException>(() => value.Span<float>().Length);
    }

    static void RoundTrip<T>(T[] data) where T : unmanaged
    {
        using var value = OnnxValue.Create<T>(data, [data.Length, 1]);
        value.ElementType.ShouldBe(OnnxElementTypes.Of<T>());
        value.Shape.ShouldBe([data.Length, 1]);
        value.Span<T>().ToArray().ShouldBe(data);
    }
}
