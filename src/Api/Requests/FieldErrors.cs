using Contracts;
using ServiceDefaults;

namespace Api.Requests;

/// <summary>Collects every bad field of a request, so that the caller mends them in one go.</summary>
public sealed class FieldErrors
{
    readonly List<FieldFailure> _found = [];
    IReadOnlyDictionary<string, string> _names = new Dictionary<string, string>();

    public bool Any => _found.Count > 0;

    public void Add(string field, string code, string message) => _found.Add(new FieldFailure(field, code, message));

    /// <summary>Keeps what was found elsewhere; a failure that names no field is put to <paramref name="field"/>.</summary>
    public void Add(string field, Failure failure)
    {
        if (failure.Fields.Count == 0)
            Add(field, failure.Code, failure.Message);
        else
            _found.AddRange(failure.Fields);
    }

    /// <summary>Whether the field, or a part of it, was already found wrong: there is no use in judging it further.</summary>
    public bool Has(string field) =>
        _found.Any(e => e.Field == field || e.Field.StartsWith(field + ".", StringComparison.Ordinal) || e.Field.StartsWith(field + "[", StringComparison.Ordinal));

    /// <summary>What the caller calls our fields, where that differs.</summary>
    public FieldErrors Named(IReadOnlyDictionary<string, string> names)
    {
        _names = names;
        return this;
    }

    /// <exception cref="FailureException">At least one field is wrong.</exception>
    public void ThrowIfAny()
    {
        if (!Any)
            return;
        var found = _found.Select(e => e with { Field = _names.GetValueOrDefault(e.Field, e.Field) }).ToList();
        var codes = found.Select(e => e.Code).Distinct().ToList();
        var code = codes is [var one] ? one : codes.Any(c => FailureStatus.Of(c) == 400) ? "invalid_request" : "unprocessable_request";
        var message = found is [var only] ? only.Message : $"Mend {string.Join(", ", found.Select(e => e.Field).Distinct())}.";
        throw new FailureException(new Failure(code, message, found));
    }
}
