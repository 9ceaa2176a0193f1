using System.Globalization;
using Train.CreditRisk;
using Train.FraudDetection;
using Train.Segmentation;
using Train.Tables;

namespace Train;

/// <summary>The sample tables, made from the files as their authors published them; the transactions from nothing.</summary>
static class SampleData
{
    internal const string Credit = "credit";
    internal const string Customers = "customers";
    internal const string Transactions = "transactions";
    const int TransactionRows = 10_000;

    internal static byte[] ImportCredit(CsvTable source)
    {
        string[] sourceColumns =
        [
            "id", "limit_bal", "sex", "education", "marriage", "age", "pay_0", "pay_2", "pay_3", "pay_4", "pay_5", "pay_6",
            .. Numbered("bill_amt"), .. Numbered("pay_amt"), "target",
        ];
        string[] columns =
        [
            CreditRiskModel.Key, "credit_limit", "sex", "education", "marital_status", "age", .. Numbered("repayment_status_"),
            .. Numbered("bill_amount_"), .. Numbered("payment_amount_"), CreditRiskModel.Truth, CreditRiskModel.HeldOut,
        ];
        return CsvTable.Write(columns, Rows(source).Select(row =>
            sourceColumns.Select(c => source.Text(row, c)).Append(source.Text(row, "_is_test") == "True" ? "1" : "0")));
    }

    internal static byte[] ImportCustomers(CsvTable source)
    {
        string Is(int row, string column, string value = "Yes") => source.Text(row, column) == value ? "1" : "0";
        return CsvTable.Write(
            [CustomerSegmentationModel.Key, .. CustomerSegmentationModel.Features.Select(f => f.Name), CustomerSegmentationModel.Churned],
            Rows(source).Select(row => (string[])
            [
                $"C{row + 1:00000}",
                source.Text(row, "tenure"),
                source.Text(row, "monthly_charges"),
                source.Text(row, "total_charges") is "NA" ? "" : source.Text(row, "total_charges"),
                source.Text(row, "contract") switch { "One year" => "12", "Two year" => "24", _ => "1" },
                source.Text(row, "senior_citizen"),
                source.Text(row, "partner"),
                source.Text(row, "dependents"),
                source.Text(row, "phone_service"),
                Is(row, "multiple_lines"),
                Is(row, "internet_service", "DSL"),
                Is(row, "internet_service", "Fiber optic"),
                Is(row, "online_security"),
                Is(row, "online_backup"),
                Is(row, "device_protection"),
                Is(row, "tech_support"),
                Is(row, "streaming_tv"),
                Is(row, "streaming_movies"),
                source.Text(row, "paperless_billing"),
                source.Text(row, "payment_method").EndsWith("(automatic)", StringComparison.Ordinal) ? "1" : "0",
                Is(row, "churn"),
            ]));
    }

    internal static byte[] GenerateTransactions()
    {
        var generator = new TransactionGenerator(FraudDetectionModel.SampleSeed);
        var row = new float[TransactionGenerator.Features.Count];
        return CsvTable.Write(
            [FraudDetectionModel.Key, .. TransactionGenerator.Features.Select(f => f.Name), FraudDetectionModel.Truth],
            Enumerable.Range(1, TransactionRows).Select(number =>
            {
                var isFraud = generator.Generate(number, row);
                return (string[])[$"{number}", .. row.Select(v => v.ToString("R", CultureInfo.InvariantCulture)), isFraud ? "1" : "0"];
            }));
    }

    /// <summary>Types of the Parquet file beside a CSV file: all that a model may be fed with is FLOAT.</summary>
    internal static IReadOnlyList<(string Name, string Type)> Types(CsvTable table) =>
        [.. table.Columns.Select((c, i) => (c, i > 0 ? "FLOAT" : c == CustomerSegmentationModel.Key ? "VARCHAR" : "BIGINT"))];

    static IEnumerable<string> Numbered(string prefix) => Enumerable.Range(1, 6).Select(m => $"{prefix}{m}");

    static IEnumerable<int> Rows(CsvTable table) => Enumerable.Range(0, table.Rows);
}
