namespace ServiceDefaults;

/// <summary>Which HTTP status a failure code gets: the one table. What is not in it is a request that is understood but cannot be done.</summary>
public static class FailureStatus
{
    static readonly Dictionary<string, int> Known = new()
    {
        // The form of the request is wrong: 400.
        ["invalid_request"] = 400,
        ["malformed_json"] = 400,
        ["json_too_deep"] = 400,
        ["unknown_field"] = 400,
        ["duplicate_field"] = 400,
        ["field_surplus"] = 400,
        ["wrong_type"] = 400,
        ["field_missing"] = 400,
        ["invalid_text"] = 400,
        ["out_of_range"] = 400,
        ["idempotency_key_invalid"] = 400,
        ["name_invalid"] = 400,
        ["name_reserved"] = 400,

        ["not_authenticated"] = 401,
        ["forbidden"] = 403,
        ["not_from_here"] = 403,

        ["not_found"] = 404,
        ["job_not_found"] = 404,
        ["model_not_found"] = 404,
        ["alias_not_found"] = 404,
        ["adapter_not_found"] = 404,
        ["dead_letter_not_found"] = 404,
        ["api_key_not_found"] = 404,
        ["method_not_allowed"] = 405,

        // Right in itself, but not now.
        ["job_not_finished"] = 409,
        ["job_past_cancel"] = 409,
        ["job_ended"] = 409,
        ["alias_moved"] = 409,
        ["adapter_exists"] = 409,
        ["no_results"] = 409,
        ["api_key_ended"] = 409,

        ["storage_limit_reached"] = 409,
        ["artifact_differs"] = 409,

        ["body_too_large"] = 413,
        ["unsupported_media_type"] = 415,

        // The rest of the codes: 422, see Of.
        ["unprocessable_request"] = 422,
        ["idempotency_key_reused"] = 422,
        ["model_unknown"] = 422,

        ["request_timeout"] = 408,
        ["rate_limited"] = 429,
        ["overloaded"] = 429,
        ["too_many_jobs"] = 429,
        ["too_many_streams"] = 429,

        ["internal_error"] = 500,
        ["artifacts_unavailable"] = 503,
        ["database_unavailable"] = 503,
        ["identity_provider_unavailable"] = 503,
        ["no_worker"] = 503,
        ["inspection_unavailable"] = 503,
        ["models_disabled"] = 503,
        ["deadline_exceeded"] = 504,
    };

    public static int Of(string code) => Known.GetValueOrDefault(code, 422);
}
