using System.Text;
using Interop.DuckDb;

namespace GpuWorker.BatchInference;

enum BadValue
{
    Missing,
    NaN,
    OutOfRange,
    NotANumber,
    NotAnInteger,
    NotABoolean,
}

/// <summary>Which rows of one vector cannot be scored; when asked to explain, also why.</summary>
sealed class BadRows(ScoringPlan plan, int capacity, bool explains)
{
    const int MostValueLetters = 64;
    const int MostReasonLetters = 1000;

    readonly ulong[] bits = new ulong[(capacity + 63) / 64];
    readonly StringBuilder?[] reasons = explains ? new StringBuilder?[capacity] : [];

    public bool Any { get; private set; }

    public bool this[int row] => (bits[row >> 6] >> row & 1) != 0;

    public void Clear()
    {
        if (!Any)
            return;
        Array.Clear(bits);
        Array.Clear(reasons);
        Any = false;
    }

    public void Add(int row, int argument, DuckDbColumn column, BadValue fault)
    {
        Any = true;
        bits[row >> 6] |= 1UL << row;
        if (!explains)
            return;
        var reason = reasons[row] ??= new StringBuilder();
        if (reason.Length >= MostReasonLetters)
            return;
        if (reason.Length > 0)
            reason.Append("; ");
        var name = plan.Arguments[argument].Column;
        _ = fault switch
        {
            BadValue.Missing => reason.Append($"{name} is missing"),
            BadValue.NaN => reason.Append($"{name} is NaN, which the model forbids"),
            BadValue.OutOfRange => reason.Append($"{name} = {Value()} is out of the range of the model's input"),
            BadValue.NotAnInteger => reason.Append($"{name} = {Value()} is not an integer"),
            BadValue.NotABoolean => reason.Append($"{name} = {Value()} is not true or false"),
            _ => reason.Append($"{name} = {Value()} is not a number"),
        };

        string Value() => plan.Arguments[argument].Type switch
        {
            DuckDbTypeId.Varchar => Shortened(column.Utf8(row)),
            DuckDbTypeId.Double => column.Values<double>()[row].ToString(),
            DuckDbTypeId.Float => column.Values<float>()[row].ToString(),
            DuckDbTypeId.TinyInt => column.Values<sbyte>()[row].ToString(),
            DuckDbTypeId.SmallInt => column.Values<short>()[row].ToString(),
            DuckDbTypeId.Integer => column.Values<int>()[row].ToString(),
            DuckDbTypeId.UTinyInt => column.Values<byte>()[row].ToString(),
            DuckDbTypeId.USmallInt => column.Values<ushort>()[row].ToString(),
            DuckDbTypeId.UInteger => column.Values<uint>()[row].ToString(),
            DuckDbTypeId.UBigInt => column.Values<ulong>()[row].ToString(),
            _ => column.Values<long>()[row].ToString(),
        };
    }

    public string Reason(int row) => reasons[row]!.ToString(0, Math.Min(reasons[row]!.Length, MostReasonLetters));

    static string Shortened(ReadOnlySpan<byte> utf8)
    {
        var text = Encoding.UTF8.GetString(utf8[..Math.Min(utf8.Length, 4 * MostValueLetters)]);
        return text.Length <= MostValueLetters ? $"'{text}'" : $"'{text[..MostValueLetters]}…'";
    }
}
