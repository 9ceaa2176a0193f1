namespace Interop.OnnxRuntime.Tests;

static class TestModels
{
    const int Float = 1;
    const int Int64 = 7;
    const int Bool = 9;
    const int GraphAttribute = 5;

    /// <summary>sum = 0; repeat <c>turns</c> times: sum = sum + 1.</summary>
    internal static byte[] Endless()
    {
        var body = new ProtoWriter()
            .Add(1, new ProtoWriter().Add(1, "carried").Add(1, "one").Add(2, "next").Add(4, "Add"))
            .Add(1, new ProtoWriter().Add(1, "go").Add(2, "goOn").Add(4, "Identity"))
            .Add(2, "body")
            .Add(11, Scalar("turn", Int64)).Add(11, Scalar("go", Bool)).Add(11, Scalar("carried", Float))
            .Add(12, Scalar("goOn", Bool)).Add(12, Scalar("next", Float));
        var loop = new ProtoWriter()
            .Add(1, "turns").Add(1, "").Add(1, "zero").Add(2, "sum").Add(4, "Loop")
            .Add(5, new ProtoWriter().Add(1, "body").Add(6, body).Add(20, GraphAttribute));
        var graph = new ProtoWriter()
            .Add(1, loop).Add(2, "endless")
            .Add(5, Constant("zero", 0)).Add(5, Constant("one", 1))
            .Add(11, Scalar("turns", Int64)).Add(12, Scalar("sum", Float));
        return new ProtoWriter().Add(1, 8).Add(7, graph).Add(8, new ProtoWriter().Add(2, 17)).ToArray();
    }

    static ProtoWriter Constant(string name, int value) =>
        new ProtoWriter().Add(2, Float).Add(8, name).Add(9, BitConverter.GetBytes((float)value));

    static ProtoWriter Scalar(string name, int type) =>
        new ProtoWriter().Add(1, name).Add(2, new ProtoWriter().Add(1, new ProtoWriter().Add(1, type).Add(2, new ProtoWriter())));
}
