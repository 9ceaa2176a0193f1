using System.Security.Cryptography;
using Api.Security.Tokens;

namespace Api.Tests.Security.Tokens;

/// <summary>The examples of RFC 7515, appendix A.</summary>
public sealed class RfcVectorTests
{
    const string Payload = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

    // A.2: header, signature, and the public half of its key.
    const string RsaHeader = "eyJhbGciOiJSUzI1NiJ9";

    const string RsaSignature =
        "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";

    const string RsaModulus =
        "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";

    static RSAParameters Key => new() { Modulus = SignedToken.Decode(RsaModulus), Exponent = SignedToken.Decode("AQAB") };

    [Fact]
    public void The_RS256_example_verifies_and_no_other_bytes_do()
    {
        var (token, fault) = SignedToken.Read($"{RsaHeader}.{Payload}.{RsaSignature}");
        fault.ShouldBe(TokenFault.None);
        TokenValidator.IsSigned(token!, Key).ShouldBeTrue();
        TokenClaims.Read(token!.Payload)!.ExpiresAt.ShouldBe(DateTimeOffset.FromUnixTimeSeconds(1300819380));
        TokenClaims.Read(token.Payload)!.Issuer.ShouldBe("joe");

        for (var i = 0; i < token.Signature.Length; i += 7)
        {
            byte[] bent = [.. token.Signature];
            bent[i] ^= 1;
            TokenValidator.IsSigned(token with { Signature = bent }, Key).ShouldBeFalse();
        }

        TokenValidator.IsSigned(token with { Signature = token.Signature[1..] }, Key).ShouldBeFalse();
        TokenValidator.IsSigned(token with { SigningInput = [.. token.SigningInput, 0] }, Key).ShouldBeFalse();
    }

    [Theory]
    [InlineData("A.1, HS256", "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." + Payload + ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", TokenFault.AlgorithmNotAllowed)]
    [InlineData("A.2, RS256 without a key's name", RsaHeader + "." + Payload + "." + RsaSignature, TokenFault.KeyIdMissing)]
    [InlineData("A.3, ES256", "eyJhbGciOiJFUzI1NiJ9." + Payload + ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q", TokenFault.AlgorithmNotAllowed)]
    [InlineData("A.4, ES512", "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn", TokenFault.AlgorithmNotAllowed)]
    [InlineData("A.5, none", "eyJhbGciOiJub25lIn0." + Payload + ".", TokenFault.AlgorithmNotAllowed)]
    [InlineData("A.6, JSON", "{\"payload\":\"" + Payload + "\",\"signatures\":[{\"protected\":\"eyJhbGciOiJSUzI1NiJ9\",\"signature\":\"cC4h\"}]}", TokenFault.Malformed)]
    [InlineData("A.7, flat JSON", "{\"payload\":\"" + Payload + "\",\"protected\":\"eyJhbGciOiJFUzI1NiJ9\",\"signature\":\"DtEh\"}", TokenFault.Malformed)]
    [InlineData("RFC 7516, A.1, JWE", "eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ.OKOawDo13gRp.48V1_ALb6US04U3b.5eym8TW_c8SuK0lt.XFBoMYUZodetZdvT", TokenFault.Encrypted)]
    public async Task The_other_examples_are_refused(string what, string token, TokenFault fault) => (await new Authority().FaultAsync(token)).ShouldBe(fault, what);
}
