using System.Globalization;
using System.Text;

namespace Train.Tables;

/// <summary>A CSV file without quoted fields, which is what all files here are. Numbers are read as the platform reads them: as float.</summary>
sealed class CsvTable
{
    readonly Dictionary<string, int> positions;
    readonly string[][] records;

    CsvTable(string[] columns, string[][] records)
    {
        this.records = records;
        Columns = columns;
        positions = columns.Select((c, i) => (c, i)).ToDictionary(p => p.c, p => p.i);
    }

    internal IReadOnlyList<string> Columns { get; }

    internal int Rows => records.Length;

    internal static CsvTable Read(string path) => Parse(File.ReadAllBytes(path), path);

    internal static CsvTable Parse(byte[] bytes, string name)
    {
        var lines = Encoding.UTF8.GetString(bytes).TrimEnd().Split('\n').Select(l => l.TrimEnd('\r')).ToArray();
        var columns = lines[0].Split(',');
        var records = lines.Skip(1).Select(l => l.Split(',')).ToArray();
        for (var i = 0; i < records.Length; i++)
        {
            if (records[i].Length != columns.Length || lines[i + 1].Contains('"'))
                throw new InvalidDataException($"{name}, line {i + 2}: {columns.Length} plain fields expected.");
        }
        return new CsvTable(columns, records);
    }

    internal string Text(int row, string column) => records[row][positions[column]];

    internal float Number(int row, string column)
    {
        var text = Text(row, column);
        return text.Length == 0 ? float.NaN : float.Parse(text, NumberStyles.Float, CultureInfo.InvariantCulture);
    }

    /// <summary>Row after row, the columns side by side: as a model takes them.</summary>
    internal float[][] Matrix(IReadOnlyList<string> columns) =>
        Enumerable.Range(0, Rows).Select(row => columns.Select(c => Number(row, c)).ToArray()).ToArray();

    internal float[] Column(string column) => Enumerable.Range(0, Rows).Select(row => Number(row, column)).ToArray();

    internal static byte[] Write(IEnumerable<string> columns, IEnumerable<IEnumerable<string>> records)
    {
        var text = new StringBuilder().AppendJoin(',', columns).Append('\n');
        foreach (var record in records)
            text.AppendJoin(',', record).Append('\n');
        return Encoding.UTF8.GetBytes(text.ToString());
    }
}
