using Train.CreditRisk;
using Train.FraudDetection;
using Train.Segmentation;
using Train.Tables;

namespace Train;

/// <summary>Everything under samples/models and samples/data that is made from the CSV files there: path to bytes.</summary>
static class SampleFiles
{
    internal static IReadOnlyDictionary<string, byte[]> Make(string samples)
    {
        var files = new Dictionary<string, byte[]>();
        var transactions = SampleData.GenerateTransactions();
        files["data/transactions.csv"] = transactions;
        var credit = Read(samples, SampleData.Credit);
        var customers = Read(samples, SampleData.Customers);
        using var parquet = new ParquetFiles();
        files["data/credit.parquet"] = parquet.FromCsv(credit.Bytes, SampleData.Types(credit.Table));
        files["data/customers.parquet"] = parquet.FromCsv(customers.Bytes, SampleData.Types(customers.Table));
        var generated = CsvTable.Parse(transactions, "transactions.csv");
        files["data/transactions.parquet"] = parquet.FromCsv(transactions, SampleData.Types(generated));

        TrainedModel[] models =
        [
            CreditRiskModel.Train(credit.Table),
            CustomerSegmentationModel.Train(customers.Table),
            FraudDetectionModel.Train(generated),
        ];
        foreach (var model in models)
        {
            var folder = $"models/{model.Card.Name}";
            files[$"{folder}/model.onnx"] = model.Onnx;
            files[$"{folder}/model-card.json"] = model.Card.ToJson();
            files[$"{folder}/model-card.md"] = model.Card.ToMarkdown();
            var predictions = CsvTable.Write(model.Predictions.Columns.Select(c => c.Name), model.Predictions.Rows);
            files[$"{folder}/predictions.parquet"] = parquet.FromCsv(predictions, model.Predictions.Columns);
        }
        return files;
    }

    static (byte[] Bytes, CsvTable Table) Read(string samples, string name)
    {
        var path = Path.Combine(samples, "data", name + ".csv");
        var bytes = File.ReadAllBytes(path);
        return (bytes, CsvTable.Parse(bytes, path));
    }
}
