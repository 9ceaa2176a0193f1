using System.Diagnostics;
using Train;
using Train.FraudDetection;
using Train.Tables;

const string Usage = """
    train [--check]                     trains the sample models from samples/data and writes samples/models;
                                        --check writes nothing and fails unless the files there are reproduced
    generate ROWS FILES FOLDER [SEED]   writes transactions as Parquet, for the fraud model
    import CREDIT CUSTOMERS             makes samples/data/*.csv from the published files (samples/data/README.md)
    """;

switch (args)
{
    case ["train"]:
        foreach (var (path, bytes) in SampleFiles.Make(Samples()))
        {
            var file = Path.Combine(Samples(), path);
            Directory.CreateDirectory(Path.GetDirectoryName(file)!);
            File.WriteAllBytes(file, bytes);
            Console.WriteLine($"{bytes.Length,10:N0}  samples/{path}");
        }
        return 0;

    case ["train", "--check"]:
        var different = SampleFiles.Make(Samples())
            .Where(f => !File.Exists(Path.Combine(Samples(), f.Key)) || !File.ReadAllBytes(Path.Combine(Samples(), f.Key)).SequenceEqual(f.Value))
            .Select(f => f.Key)
            .ToArray();
        Console.WriteLine(different.Length == 0 ? "Every file is reproduced." : $"Not reproduced: {string.Join(", ", different)}");
        return different.Length == 0 ? 0 : 1;

    case ["generate", var rows, var files, var folder, .. var rest]
        when long.TryParse(rows, out var rowCount) && rowCount > 0 && int.TryParse(files, out var fileCount) && fileCount > 0 && rest.Length <= 1:
        var clock = Stopwatch.StartNew();
        var seed = rest is [var text] ? ulong.Parse(text) : FraudDetectionModel.SampleSeed + 1;
        var written = TransactionFiles.Write(folder, rowCount, (int)Math.Min(fileCount, rowCount), seed);
        var megabytes = written.Sum(f => new FileInfo(f).Length) / 1e6;
        Console.WriteLine($"{rowCount:N0} rows in {written.Count} files, {megabytes:N0} MB, {clock.Elapsed.TotalSeconds:0.0} s: {Path.GetFullPath(folder)}");
        return 0;

    case ["import", var credit, var customers]:
        var data = Directory.CreateDirectory(Path.Combine(Samples(), "data")).FullName;
        File.WriteAllBytes(Path.Combine(data, "credit.csv"), SampleData.ImportCredit(CsvTable.Read(credit)));
        File.WriteAllBytes(Path.Combine(data, "customers.csv"), SampleData.ImportCustomers(CsvTable.Read(customers)));
        return 0;

    default:
        Console.Error.WriteLine(Usage);
        return 2;
}

static string Samples()
{
    for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
    {
        if (File.Exists(Path.Combine(folder.FullName, "Sagas.sln")))
            return Path.Combine(folder.FullName, "samples");
    }
    throw new DirectoryNotFoundException("Run this from a clone of the repository: the samples folder was not found.");
}
