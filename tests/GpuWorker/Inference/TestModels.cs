using Interop.OnnxRuntime;

namespace GpuWorker.Tests.Inference;

static class TestModels
{
    const int Float = 1;
    const int Int64 = 7;
    const int Bool = 9;
    const int GraphAttribute = 5;

    /// <summary>y = x · 2 for x [N, 2], with the factor in the file or said to be in another.</summary>
    /// <param name="places">Further entries of where the factor is, such as an offset.</param>
    /// <param name="factors">How many are in the other file: one for all columns, or one for each.</param>
    internal static byte[] Scale(string? external = null, Dictionary<string, string>? metadata = null, Dictionary<string, string>? places = null, int factors = 1)
    {
        var width = Math.Max(2, factors);
        var factor = new ProtoWriter().Add(1, factors).Add(2, Float).Add(8, "factor");
        if (external is null)
            factor.Add(9, BitConverter.GetBytes(2f));
        else
        {
            factor.Add(13, new ProtoWriter().Add(1, "location").Add(2, external)).Add(14, 1);
            foreach (var (key, value) in places ?? [])
                factor.Add(13, new ProtoWriter().Add(1, key).Add(2, value));
        }
        var graph = new ProtoWriter()
            .Add(1, new ProtoWriter().Add(1, "x").Add(1, "factor").Add(2, "y").Add(4, "Mul"))
            .Add(2, "scale").Add(5, factor)
            .Add(11, Tensor("x", Float, "N", width)).Add(12, Tensor("y", Float, "N", width));
        return Model(graph, metadata);
    }

    /// <summary>For x [N, 1]: adds 1 to it 2^40 times.</summary>
    internal static byte[] Endless()
    {
        var body = new ProtoWriter()
            .Add(1, new ProtoWriter().Add(1, "carried").Add(1, "one").Add(2, "next").Add(4, "Add"))
            .Add(1, new ProtoWriter().Add(1, "go").Add(2, "goOn").Add(4, "Identity"))
            .Add(2, "body")
            .Add(11, Tensor("turn", Int64)).Add(11, Tensor("go", Bool)).Add(11, Tensor("carried", Float, "N", 1))
            .Add(12, Tensor("goOn", Bool)).Add(12, Tensor("next", Float, "N", 1));
        var loop = new ProtoWriter()
            .Add(1, "turns").Add(1, "").Add(1, "x").Add(2, "y").Add(4, "Loop")
            .Add(5, new ProtoWriter().Add(1, "body").Add(6, body).Add(20, GraphAttribute));
        var graph = new ProtoWriter()
            .Add(1, loop).Add(2, "endless")
            .Add(5, new ProtoWriter().Add(2, Int64).Add(8, "turns").Add(9, BitConverter.GetBytes(1L << 40)))
            .Add(5, new ProtoWriter().Add(2, Float).Add(8, "one").Add(9, BitConverter.GetBytes(1f)))
            .Add(11, Tensor("x", Float, "N", 1)).Add(12, Tensor("y", Float, "N", 1));
        return Model(graph, null);
    }

    /// <summary>y = x − mean of x over its rows, for x [N, 2].</summary>
    internal static byte[] Centered()
    {
        var mean = new ProtoWriter().Add(1, "x").Add(2, "mean").Add(4, "ReduceMean")
            .Add(5, new ProtoWriter().Add(1, "axes").Add(8, 0).Add(20, 7)).Add(5, new ProtoWriter().Add(1, "keepdims").Add(3, 1).Add(20, 2));
        var graph = new ProtoWriter()
            .Add(1, mean).Add(1, new ProtoWriter().Add(1, "x").Add(1, "mean").Add(2, "y").Add(4, "Sub"))
            .Add(2, "centered").Add(11, Tensor("x", Float, "N", 2)).Add(12, Tensor("y", Float, "N", 2));
        return Model(graph, null);
    }

    /// <summary>y = 1 added up as often as the input turns says.</summary>
    internal static byte[] Countdown()
    {
        var body = new ProtoWriter()
            .Add(1, new ProtoWriter().Add(1, "carried").Add(1, "one").Add(2, "next").Add(4, "Add"))
            .Add(1, new ProtoWriter().Add(1, "go").Add(2, "goOn").Add(4, "Identity"))
            .Add(2, "body")
            .Add(11, Tensor("turn", Int64)).Add(11, Tensor("go", Bool)).Add(11, Tensor("carried", Float))
            .Add(12, Tensor("goOn", Bool)).Add(12, Tensor("next", Float));
        var loop = new ProtoWriter()
            .Add(1, "turns").Add(1, "").Add(1, "zero").Add(2, "y").Add(4, "Loop")
            .Add(5, new ProtoWriter().Add(1, "body").Add(6, body).Add(20, GraphAttribute));
        var graph = new ProtoWriter()
            .Add(1, loop).Add(2, "countdown")
            .Add(5, new ProtoWriter().Add(2, Float).Add(8, "one").Add(9, BitConverter.GetBytes(1f)))
            .Add(5, new ProtoWriter().Add(2, Float).Add(8, "zero").Add(9, BitConverter.GetBytes(0f)))
            .Add(11, Tensor("turns", Int64)).Add(12, Tensor("y", Float));
        return Model(graph, null);
    }

    /// <summary>y = [10, 20][x] for x [N].</summary>
    internal static byte[] Lookup()
    {
        var table = new ProtoWriter().Add(1, 2).Add(2, Float).Add(8, "table").Add(9, [.. BitConverter.GetBytes(10f), .. BitConverter.GetBytes(20f)]);
        var graph = new ProtoWriter()
            .Add(1, new ProtoWriter().Add(1, "table").Add(1, "x").Add(2, "y").Add(4, "Gather"))
            .Add(2, "lookup").Add(5, table).Add(11, Tensor("x", Int64, "N")).Add(12, Tensor("y", Float, "N"));
        return Model(graph, null);
    }

    /// <summary>y = x for x [N, 1], by way of as many copies of it as told: 4 bytes of memory each, for each row.</summary>
    internal static byte[] Wide(long copies)
    {
        var shape = new ProtoWriter().Add(1, 2).Add(2, Int64).Add(8, "shape").Add(9, [.. BitConverter.GetBytes(1L), .. BitConverter.GetBytes(copies)]);
        var greatest = new ProtoWriter().Add(1, "copies").Add(2, "y").Add(4, "ReduceMax")
            .Add(5, new ProtoWriter().Add(1, "axes").Add(8, 1).Add(20, 7)).Add(5, new ProtoWriter().Add(1, "keepdims").Add(3, 0).Add(20, 2));
        var graph = new ProtoWriter()
            .Add(1, new ProtoWriter().Add(1, "x").Add(1, "shape").Add(2, "copies").Add(4, "Expand")).Add(1, greatest)
            .Add(2, "wide").Add(5, shape).Add(11, Tensor("x", Float, "N", 1)).Add(12, Tensor("y", Float, "N"));
        return Model(graph, null);
    }

    /// <summary>For x [N, 2]: fills a tensor of that many floats with one of x, and adds their sum.</summary>
    internal static byte[] Hungry(long floats)
    {
        var graph = new ProtoWriter()
            .Add(1, new ProtoWriter().Add(1, "x").Add(2, "most").Add(4, "ReduceMax"))
            .Add(1, new ProtoWriter().Add(1, "most").Add(1, "size").Add(2, "many").Add(4, "Expand"))
            .Add(1, new ProtoWriter().Add(1, "many").Add(1, "axes").Add(2, "sum").Add(4, "ReduceSum"))
            .Add(1, new ProtoWriter().Add(1, "x").Add(1, "sum").Add(2, "y").Add(4, "Add"))
            .Add(2, "hungry")
            .Add(5, new ProtoWriter().Add(1, 2).Add(2, Int64).Add(8, "size").Add(9, [.. BitConverter.GetBytes(1L), .. BitConverter.GetBytes(floats)]))
            .Add(5, new ProtoWriter().Add(1, 1).Add(2, Int64).Add(8, "axes").Add(9, BitConverter.GetBytes(1L)))
            .Add(11, Tensor("x", Float, "N", 2)).Add(12, Tensor("y", Float, "N", 2));
        return Model(graph, null);
    }

    /// <summary>A weight that says it is huge and brings four bytes.</summary>
    internal static byte[] Boastful(params long[] shape)
    {
        var weight = new ProtoWriter();
        foreach (var size in shape)
            weight.Add(1, size);
        weight.Add(2, Float).Add(8, "factor").Add(9, BitConverter.GetBytes(2f));
        var graph = new ProtoWriter()
            .Add(1, new ProtoWriter().Add(1, "x").Add(1, "factor").Add(2, "y").Add(4, "Mul"))
            .Add(2, "boastful").Add(5, weight)
            .Add(11, Tensor("x", Float, "N", 2)).Add(12, Tensor("y", Float, "N", 2));
        return Model(graph, null);
    }

    /// <summary>Takes what an optional input holds: ONNX Runtime 1.30 does not survive one that holds nothing.</summary>
    internal static byte[] Crashing()
    {
        var optional = new ProtoWriter().Add(9, new ProtoWriter().Add(1, new ProtoWriter().Add(1, new ProtoWriter().Add(1, Float))));
        var graph = new ProtoWriter()
            .Add(1, new ProtoWriter().Add(1, "maybe").Add(2, "something").Add(4, "OptionalGetElement"))
            .Add(1, new ProtoWriter().Add(1, "x").Add(1, "something").Add(2, "y").Add(4, "Add"))
            .Add(2, "crashing")
            .Add(11, Tensor("x", Float, "N", 2)).Add(11, new ProtoWriter().Add(1, "maybe").Add(2, optional)).Add(12, Tensor("y", Float, "N", 2));
        return Model(graph, null);
    }

    /// <summary>For x [N, 2]: adds the sum of that many weights, which are in the file.</summary>
    internal static byte[] Heavy(int floats)
    {
        var graph = new ProtoWriter()
            .Add(1, new ProtoWriter().Add(1, "weight").Add(1, "axes").Add(2, "sum").Add(4, "ReduceSum"))
            .Add(1, new ProtoWriter().Add(1, "x").Add(1, "sum").Add(2, "y").Add(4, "Add"))
            .Add(2, "heavy")
            .Add(5, new ProtoWriter().Add(1, floats).Add(2, Float).Add(8, "weight").Add(9, new byte[floats * 4]))
            .Add(5, new ProtoWriter().Add(1, 1).Add(2, Int64).Add(8, "axes").Add(9, BitConverter.GetBytes(0L)))
            .Add(11, Tensor("x", Float, "N", 2)).Add(12, Tensor("y", Float, "N", 2));
        return Model(graph, null);
    }

    /// <summary>One node of that operator, between x and y [N, 2], at some depth of nested graphs.</summary>
    internal static byte[] Operator(string domain, string name, bool nested = false)
    {
        var node = new ProtoWriter().Add(1, "x").Add(2, nested ? "inner" : "y").Add(4, name).Add(7, domain);
        if (nested)
        {
            var branch = new ProtoWriter().Add(1, node).Add(2, "branch").Add(12, Tensor("inner", Float, "N", 2));
            node = new ProtoWriter().Add(1, "yes").Add(2, "y").Add(4, "If")
                .Add(5, new ProtoWriter().Add(1, "then_branch").Add(6, branch).Add(20, GraphAttribute))
                .Add(5, new ProtoWriter().Add(1, "else_branch").Add(6, branch).Add(20, GraphAttribute));
        }
        var graph = new ProtoWriter()
            .Add(1, node).Add(2, "one")
            .Add(5, new ProtoWriter().Add(2, Bool).Add(8, "yes").Add(9, new byte[] { 1 }))
            .Add(11, Tensor("x", Float, "N", 2)).Add(12, Tensor("y", Float, "N", 2));
        return Model(graph, null, domain);
    }

    /// <summary>y = x for x of a fixed shape.</summary>
    internal static byte[] Identity(params object[] shape) => Model(
        new ProtoWriter().Add(1, new ProtoWriter().Add(1, "x").Add(2, "y").Add(4, "Identity")).Add(2, "same")
            .Add(11, Tensor("x", Float, shape)).Add(12, Tensor("y", Float, shape)), null);

    static byte[] Model(ProtoWriter graph, Dictionary<string, string>? metadata, string domain = "")
    {
        var model = new ProtoWriter().Add(1, 8).Add(7, graph).Add(8, new ProtoWriter().Add(2, 17));
        if (domain.Length > 0)
            model.Add(8, new ProtoWriter().Add(1, domain).Add(2, 1));
        foreach (var (key, value) in metadata ?? [])
            model.Add(14, new ProtoWriter().Add(1, key).Add(2, value));
        return model.ToArray();
    }

    static ProtoWriter Tensor(string name, int type, params object[] shape)
    {
        var dimensions = new ProtoWriter();
        foreach (var size in shape)
            dimensions.Add(1, size is string symbol ? new ProtoWriter().Add(2, symbol) : new ProtoWriter().Add(1, (int)size));
        return new ProtoWriter().Add(1, name).Add(2, new ProtoWriter().Add(1, new ProtoWriter().Add(1, type).Add(2, dimensions)));
    }
}
