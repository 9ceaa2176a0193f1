namespace Api.BatchInference;

/// <summary>A request that comes as a message: it may bring a name for the job.</summary>
/// <param name="JobId">A UUID, which is the job's id then, or any text of 1 to 200 visible characters, from which the id follows.</param>
sealed record BatchJobOrder(string? JobId = null) : SubmitBatchJobRequest;
