using Contracts;
using Sagas.Models;

namespace Api.Tests.Security;

[CollectionDefinition(nameof(TenantFilesHost))]
public sealed class TenantFilesHostShared : ICollectionFixture<TenantFilesHost>;

/// <summary>The API with keys, folders of <c>acme</c> and <c>bob</c> beside those of <c>local</c>, and a queue for trusted senders.</summary>
public sealed class TenantFilesHost : SecuredHost
{
    public const string TrustedQueue = "trusted.orders";

    private protected override IReadOnlyDictionary<string, string?> Settings => new Dictionary<string, string?>(base.Settings)
    {
        ["Artifacts:Tenants:acme:InputRoots:0"] = InputsOf("acme"),
        ["Artifacts:Tenants:bob:InputRoots:0"] = InputsOf("bob"),
        ["Api:BatchInference:TrustedInput"] = TrustedQueue,
    };

    public string InputsOf(string tenant) => tenant == "local" ? Inputs : Path.Combine(Root, $"inputs-{tenant}");

    public string OutputsOf(string tenant) => Path.Combine(Outputs, $"@{tenant}");

    public override async Task InitializeAsync()
    {
        await base.InitializeAsync();
        foreach (var tenant in new[] { "acme", "bob" })
        {
            Directory.CreateDirectory(InputsOf(tenant));
            File.Copy(Path.Combine(Inputs, "rows.parquet"), Path.Combine(InputsOf(tenant), "rows.parquet"));
        }

        foreach (var name in new[] { "risk", "risk-model", "acmes-own" })
            await WithDbAsync(db =>
            {
                db.Add(new RegisteredModel
                {
                    Tenant = "acme",
                    Name = name,
                    Version = Version,
                    Uri = Uri(Models, "@acme", $"{Version}.onnx"),
                    Signature = WireJson.Write(TwoFeatures),
                    RowsPerSecond = 1000,
                    RegisteredAt = DateTimeOffset.UnixEpoch,
                });
                return db.SaveChangesAsync();
            });
    }
}
