using Api.Models;
using Api.Requests;
using Artifacts;
using Artifacts.Tabular;
using Contracts;
using Contracts.BatchInference;
using Microsoft.Extensions.Options;
using Sagas.Models;
using Sagas.Persistence;

namespace Api.BatchInference;

/// <summary>Judges a request against the world: model, files, columns. Everything that is wrong is named at once.</summary>
sealed class BatchJobSpecs(PlatformDbContext db, InputProbe probe, ArtifactStore store, IOptions<BatchInferenceApiOptions> options)
{
    const int CompatibleBatchSize = 100_000;
    const int MostBatchSize = 10_000_000;
    const int MostDeadlineSeconds = 7 * 24 * 3600;
    const int MostColumns = 10_000;

    /// <param name="tenant">Who asks: by its folders the files are judged.</param>
    /// <exception cref="FailureException">At least one field is wrong.</exception>
    public async Task<BatchJobSpec> MakeAsync(string tenant, SubmitBatchJobRequest request, FieldErrors errors, CancellationToken cancellationToken)
    {
        CheckRanges(request, errors);
        var model = await FindModelAsync(request, errors, cancellationToken);
        var input = FindInput(tenant, request, model, errors);
        var output = FindOutput(tenant, request, errors);
        var mapping = await MapAsync(tenant, request, model, input, errors, cancellationToken);
        errors.ThrowIfAny();

        var version = model!;
        return new BatchJobSpec(
            input!,
            version.Reference(),
            version.ReadSignature(),
            mapping!,
            request.KeyColumns ?? [],
            output!,
            request.BatchSize ?? (request.ModelType is null ? null : CompatibleBatchSize),
            version.RowsPerSecond,
            request.MaxErrorRate ?? 0.01,
            request.MaxErrors,
            request.DeadlineSeconds ?? 3600,
            request.Priority ?? 0);
    }

    static void CheckRanges(SubmitBatchJobRequest request, FieldErrors errors)
    {
        if (request.BatchSize is < 1 or > MostBatchSize)
            errors.Add("batchSize", "out_of_range", $"Must be 1 to {MostBatchSize}.");
        if (request.MaxErrors < 0)
            errors.Add("maxErrors", "out_of_range", "Must be 0 or more.");
        if (request.MaxErrorRate is { } rate && rate is not (>= 0 and <= 1))
            errors.Add("maxErrorRate", "out_of_range", "Must be 0 to 1: a share of the planned rows.");
        if (request.DeadlineSeconds is < 1 or > MostDeadlineSeconds)
            errors.Add("deadlineSeconds", "out_of_range", $"Must be 1 to {MostDeadlineSeconds}.");
        if (request.Priority is < -100 or > 100)
            errors.Add("priority", "out_of_range", "Must be -100 to 100.");
        CheckColumns(request.Features, "features", errors);
        CheckColumns(request.KeyColumns, "keyColumns", errors);
    }

    static void CheckColumns(IReadOnlyList<string>? columns, string field, FieldErrors errors)
    {
        if (columns is null)
            return;
        if (columns.Count > MostColumns)
            errors.Add(field, "out_of_range", $"Must be at most {MostColumns} columns.");
        var seen = new HashSet<string>();
        for (var i = 0; i < columns.Count; i++)
        {
            if (columns[i].Length == 0)
                errors.Add($"{field}[{i}]", "invalid_text", "A column's name is not empty.");
            else if (!seen.Add(columns[i]))
                errors.Add($"{field}[{i}]", "column_repeated", $"{columns[i]} is named twice.");
        }
    }

    async Task<RegisteredModel?> FindModelAsync(SubmitBatchJobRequest request, FieldErrors errors, CancellationToken cancellationToken)
    {
        var isShort = request.Model is null && request.ModelType is not null;
        var field = isShort ? "modelType" : "model";
        if (errors.Has("model") || errors.Has("modelType") || errors.Has("modelVersion"))
            return null;
        if (request is { Model: not null, ModelType: not null })
            errors.Add("modelType", "field_surplus", "Give model or modelType, not both.");
        if ((isShort ? request.ModelType : request.Model) is not { Length: > 0 } text)
        {
            errors.Add(field, "field_missing", "Name a registered model. See GET /api/v1/models.");
            return null;
        }

        var (name, version) = ModelName.Parse(text);
        if (version is not null && request.ModelVersion is not null && version != request.ModelVersion)
            errors.Add("modelVersion", "field_surplus", $"{field} names another version. Give one of them.");
        version ??= request.ModelVersion;
        if (isShort && !name.EndsWith("-model", StringComparison.Ordinal))
            name += "-model";

        var found = await db.FindModelAsync(name, version, cancellationToken);
        if (found?.ReadSignature().NotTabular is { } why)
            errors.Add(field, why.Code, why.Message);
        if (found is not null)
            return found;
        if (await db.FindModelAsync(name, null, cancellationToken) is null)
            errors.Add(field, "model_unknown", $"There is no model {name}. See GET /api/v1/models.");
        else
            errors.Add(text.Contains('@') ? field : "modelVersion", "model_version_unknown", $"{name} has no version {version}. See GET /api/v1/models/{name}.");
        return null;
    }

    InputSpec? FindInput(string tenant, SubmitBatchJobRequest request, RegisteredModel? model, FieldErrors errors)
    {
        if (errors.Has("input"))
            return null;
        var uri = request.Input?.Uri;
        // The samples lie in the home tenant's folders.
        if (string.IsNullOrEmpty(uri) && request.Input is null && model is not null && tenant == store.Options.HomeTenant)
            uri = options.Value.SampleInputs.GetValueOrDefault(model.Name);
        if (string.IsNullOrEmpty(uri))
        {
            // Whether there is a sample input cannot be said before the model is known.
            if (request.ModelType is null || model is not null)
                errors.Add("input.uri", "field_missing", "Say what to score: a file, a folder or a glob, as file://, az:// or https://.");
            return null;
        }

        return Found(errors, "input.uri", () =>
        {
            RemoteUri.RequireNoCredentials(uri, "input.uri");
            return new InputSpec(uri, TabularFormat.Resolve(request.Input?.Format, uri));
        });
    }

    OutputSpec? FindOutput(string tenant, SubmitBatchJobRequest request, FieldErrors errors)
    {
        if (errors.Has("output"))
            return null;
        var uri = string.IsNullOrEmpty(request.Output?.Uri) ? FileUri.Append(options.Value.Output, ArtifactStore.FolderOf(tenant)) : request.Output.Uri;
        var place = Found(errors, "output.uri", () =>
        {
            store.For(tenant).Require(uri, ArtifactAccess.Output, "output.uri");
            return uri;
        });
        var format = Found(errors, "output.format", () => TabularFormat.Resolve(request.Output?.Format ?? TabularFormat.Parquet, uri, "output.format"));
        return place is null || format is null ? null : new OutputSpec(uri.TrimEnd('/'), format);
    }

    async Task<FeatureMapping?> MapAsync(
        string tenant, SubmitBatchJobRequest request, RegisteredModel? model, InputSpec? input, FieldErrors errors, CancellationToken cancellationToken)
    {
        if (input is null)
            return null;
        try
        {
            var table = await probe.OpenAsync(tenant, input, cancellationToken);
            if (model is not null && model.ReadSignature().NotTabular is null && !errors.Has("features") && !errors.Has("keyColumns"))
                return FeatureMap.Resolve(model.ReadSignature(), table, request.Features, request.KeyColumns ?? []).Mapping;
        }
        // Whether it is right cannot be said while it cannot be looked at: that is nobody's field.
        catch (FailureException e) when (!e.IsTransient)
        {
            errors.Add("input.uri", e.Failure);
        }

        return null;
    }

    static T? Found<T>(FieldErrors errors, string field, Func<T> find) where T : class
    {
        try
        {
            return find();
        }
        catch (FailureException e)
        {
            errors.Add(field, e.Failure);
            return null;
        }
    }
}
