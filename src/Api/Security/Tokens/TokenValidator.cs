using System.Security.Cryptography;
using Contracts;
using Microsoft.Extensions.Options;

namespace Api.Security.Tokens;

/// <summary>
/// Decides about a bearer token, in this order: form, header, key, signature, and only then what it says. The algorithm is never the token's
/// choice: a key of Entra's verifies RS256 and its issuer alone, a developer's secret HS256 and its own issuer alone.
/// </summary>
sealed class TokenValidator(SigningKeys keys, EntraCallers callers, DevelopmentTokens development, IOptions<EntraOptions> options, TimeProvider clock)
{
    public const string Rs256 = "RS256";
    public const string Hs256 = "HS256";

    /// <exception cref="FailureException">It cannot be decided: Entra's keys cannot be had.</exception>
    public async ValueTask<(Caller? Caller, TokenFault Fault)> ValidateAsync(string text, CancellationToken cancellationToken)
    {
        var (token, fault) = SignedToken.Read(text);
        return token switch
        {
            null => (null, fault),
            { Algorithm: Hs256 } when development.Any => Develop(token),
            { Algorithm: Rs256 } when options.Value.IsConfigured => await ValidateAsync(token, cancellationToken),
            _ => (null, TokenFault.AlgorithmNotAllowed),
        };
    }

    async ValueTask<(Caller?, TokenFault)> ValidateAsync(SignedToken token, CancellationToken cancellationToken)
    {
        if (token.KeyId is null)
            return (null, TokenFault.KeyIdMissing);
        if (await keys.FindAsync(token.KeyId, cancellationToken) is not var (key, issuer))
            return (null, TokenFault.KeyUnknown);
        if (!IsSigned(token, key))
            return (null, TokenFault.SignatureWrong);
        return TokenClaims.Read(token.Payload) is { } claims ? callers.Find(claims, issuer) : (null, TokenFault.PayloadInvalid);
    }

    /// <summary>RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518, 3.3).</summary>
    public static bool IsSigned(SignedToken token, RSAParameters key)
    {
        using var rsa = RSA.Create(key);
        return rsa.VerifyData(token.SigningInput, token.Signature, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
    }

    (Caller?, TokenFault) Develop(SignedToken token)
    {
        if (!development.Keys.Any(key => CryptographicOperations.FixedTimeEquals(HMACSHA256.HashData(key, token.SigningInput), token.Signature)))
            return (null, TokenFault.SignatureWrong);
        if (TokenClaims.Read(token.Payload) is not { } claims)
            return (null, TokenFault.PayloadInvalid);
        if (claims.Issuer != development.Issuer)
            return (null, TokenFault.IssuerWrong);
        if (!claims.Audiences.Intersect(development.Audiences, StringComparer.Ordinal).Any())
            return (null, TokenFault.AudienceWrong);
        if (EntraCallers.CheckTime(claims, options.Value.ClockSkew, clock.GetUtcNow()) is not TokenFault.None and var late)
            return (null, late);
        return claims.Subject is { Length: > 0 and <= 200 } who
            ? (new Caller(Tenant.Local, $"user:{who}", claims.Name, EntraCallers.Named(claims.Roles), claims.ExpiresAt), TokenFault.None)
            : (null, TokenFault.IdentityMissing);
    }
}
