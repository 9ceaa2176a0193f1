using System.Text;
using System.Text.RegularExpressions;
using Api.Requests;
using Api.Security;
using Api.Security.Audit;
using Contracts;
using Microsoft.EntityFrameworkCore;
using Sagas.Models;
using Sagas.Persistence;

namespace Api.Models;

/// <summary>What people write about a version. Its files and what was measured never change.</summary>
sealed partial class ModelDescriptions(PlatformDbContext db)
{
    const int MostLabels = 64;
    const int LongestLabel = 256;
    const int MostCardBytes = 64 * 1024;

    public static void Check(DescribeModelRequest request, FieldErrors errors)
    {
        if (request is { Description: null, Labels: null, Card: null } && !errors.Any)
            errors.Add("labels", "field_missing", "Give a description, labels or a card.");
        if (request.Description?.Length > ModelRegistration.LongestDescription)
            errors.Add("description", "out_of_range", $"Must be at most {ModelRegistration.LongestDescription} characters.");
        if (request.Card is { } card && Encoding.UTF8.GetByteCount(card) > MostCardBytes)
            errors.Add("card", "out_of_range", $"Must be at most {MostCardBytes} bytes of UTF-8.");
        foreach (var (key, value) in request.Labels ?? new Dictionary<string, string?>())
        {
            if (!Key().IsMatch(key))
                errors.Add($"labels.{key}", "name_invalid", "A label's key is 1 to 63 letters, digits, dots, dashes, underscores or slashes, and begins with a letter or digit.");
            else if (value?.Length > LongestLabel)
                errors.Add($"labels.{key}", "out_of_range", $"Must be at most {LongestLabel} characters.");
            else if (value?.Any(char.IsControl) == true)
                errors.Add($"labels.{key}", "invalid_text", "Must not hold control characters.");
        }
    }

    /// <summary>Changes what the request names and leaves the rest, also what somebody else changes at the same time.</summary>
    /// <param name="version">sha256 of one that is there.</param>
    /// <exception cref="FailureException">With the new labels there are too many.</exception>
    public async Task<RegisteredModel> ChangeAsync(
        Caller caller, string name, string version, DescribeModelRequest request, string? reason, CancellationToken cancellationToken)
    {
        await using var transaction = await db.Database.BeginTransactionAsync(cancellationToken);
        // First the audit: the tenant's other changes wait for it until this transaction ends.
        await db.AuditAsync(new AuditAction(caller, "model.describe", $"{name}@{version}", reason), cancellationToken);
        var model = await db.Models.SingleAsync(m => m.Name == name && m.Version == version, cancellationToken);
        if (request.Description is { } description)
            model.Description = description.Length > 0 ? description : null;
        if (request.Card is { } card)
            model.Card = card.Length > 0 ? card : null;
        if (request.Labels is { } labels)
            model.Labels = WireJson.Write(Merge(model, labels));
        await db.SaveChangesAsync(cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        return model;
    }

    static SortedDictionary<string, string> Merge(RegisteredModel model, IReadOnlyDictionary<string, string?> changes)
    {
        var labels = new SortedDictionary<string, string>(model.ReadLabels().ToDictionary(), StringComparer.Ordinal);
        foreach (var (key, value) in changes)
        {
            if (value is null)
                labels.Remove(key);
            else
                labels[key] = value;
        }

        return labels.Count <= MostLabels
            ? labels
            : throw new FailureException("out_of_range", $"The version would have {labels.Count} labels.", new FieldFailure("labels", "out_of_range", $"Must be at most {MostLabels}."));
    }

    [GeneratedRegex(@"^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}\z", RegexOptions.CultureInvariant)]
    private static partial Regex Key();
}
