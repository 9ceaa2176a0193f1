namespace Api.BatchInference;

/// <summary>A request that comes as a message: it may bring a name for the job.</summary>
/// <param name="JobId">A UUID, which is the job's id then, or any text of 1 to 200 visible characters, from which the id follows.</param>
record BatchJobOrder(string? JobId = null) : SubmitBatchJobRequest;

/// <summary>The same from a sender who is trusted to say whose job it is.</summary>
sealed record TrustedBatchJobOrder(string? Tenant = null) : BatchJobOrder;
