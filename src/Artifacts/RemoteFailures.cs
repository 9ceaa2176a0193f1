using Azure;
using Azure.Identity;
using Contracts;

namespace Artifacts;

/// <summary>
/// The storage service's errors in ours. The original is not kept with them: what the service writes of a refused signature repeats it.
/// </summary>
static class RemoteFailures
{
    /// <param name="source">The blob as the user knows it.</param>
    public static async Task<T> TranslateAsync<T>(string source, string? field, Func<Task<T>> request, CancellationToken cancellationToken)
    {
        try
        {
            return await request();
        }
        catch (Exception e) when (!(e is OperationCanceledException && cancellationToken.IsCancellationRequested) && Translate(e, source, field) is { } failure)
        {
            throw failure;
        }
    }

    public static Task TranslateAsync(string source, string? field, Func<Task> request, CancellationToken cancellationToken) =>
        TranslateAsync<object?>(source, field, async () => { await request(); return null; }, cancellationToken);

    static FailureException? Translate(Exception exception, string source, string? field) => exception switch
    {
        RequestFailedException { Status: 404 } => Of("input_missing", field, $"{source} does not exist; check the name."),
        RequestFailedException { Status: 412 } or RequestFailedException { ErrorCode: "ConditionNotMet" } => Changed(source),
        RequestFailedException { Status: 401 or 403 } e => Of("blob_forbidden", field,
            $"{source} is not open to the credential that is configured for its account ({e.ErrorCode ?? $"{e.Status}"}); ask the operator."),
        RequestFailedException { Status: 0 or 408 or 429 or >= 500 } e => Unavailable(source, field, e.Status == 0 ? "no answer" : $"{e.Status} {e.ErrorCode}"),
        RequestFailedException e => Of("blob_failed", field, $"{source}: the storage service answered {e.Status} {e.ErrorCode}."),
        AuthenticationFailedException => Unavailable(source, field, "this machine has no identity that Entra knows"),
        AggregateException or IOException or HttpRequestException or OperationCanceledException => Unavailable(source, field, "no answer"),
        _ => null,
    };

    public static FailureException Changed(string source) =>
        new(FailureCodes.InputChanged, $"{source} is not the file that was planned; leave inputs alone until their job has ended, and submit it again.");

    public static FailureException Unavailable(string source, string? field, string why)
    {
        var message = $"{source} cannot be reached now ({why}); try again later.";
        return new FailureException(
            field is null ? new Failure(FailureCodes.ArtifactsUnavailable, message) : new Failure(FailureCodes.ArtifactsUnavailable, $"{field}: {message}", [new(field, FailureCodes.ArtifactsUnavailable, message)]),
            isTransient: true);
    }

    static FailureException Of(string code, string? field, string message) =>
        field is null ? new FailureException(code, message) : FileUri.Refuse(code, field, message);
}
