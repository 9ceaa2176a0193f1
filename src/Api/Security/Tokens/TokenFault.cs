namespace Api.Security.Tokens;

/// <summary>Why a token was refused: the first check that it did not pass. Callers are not told; metrics count it.</summary>
public enum TokenFault
{
    None,

    /// <summary>More than 16 KiB.</summary>
    TooLong,

    /// <summary>Not three parts of base64url.</summary>
    Malformed,

    /// <summary>Five parts: encrypted, which nobody sends here.</summary>
    Encrypted,
    HeaderInvalid,

    /// <summary>Not the one algorithm of the key's kind, whatever else it may be.</summary>
    AlgorithmNotAllowed,
    CriticalNotSupported,
    TypeNotAllowed,
    KeyIdMissing,
    KeyUnknown,
    SignatureWrong,
    PayloadInvalid,
    IssuerWrong,
    TenantNotAllowed,
    AudienceWrong,
    ExpiryMissing,
    Expired,
    NotYetValid,
    ClientNotAllowed,
    ScopeMissing,
    IdentityMissing,
}
