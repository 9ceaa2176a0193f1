using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Support;

/// <summary>An authority of a test's own and a certificate that it gave to a server, as PEM files.</summary>
public sealed record TestCertificates(string AuthorityFile, string CertificateFile, string KeyFile)
{
    public static TestCertificates Create(string folder, string serverName)
    {
        var files = new TestCertificates(Path.Combine(folder, "authority.pem"), Path.Combine(folder, "server.pem"), Path.Combine(folder, "server.key"));
        var today = TimeProvider.System.GetUtcNow();

        using var authorityKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN=Test authority {Guid.CreateVersion7():N}", authorityKey, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: true, false, 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign, critical: true));
        using var authority = request.CreateSelfSigned(today.AddDays(-1), today.AddDays(30));
        File.WriteAllText(files.AuthorityFile, authority.ExportCertificatePem());

        using var serverKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        request = new CertificateRequest($"CN={serverName}", serverKey, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName(serverName);
        request.CertificateExtensions.Add(names.Build());
        using var certificate = request.Create(authority, today.AddDays(-1), today.AddDays(29), Guid.CreateVersion7().ToByteArray());
        File.WriteAllText(files.CertificateFile, certificate.ExportCertificatePem());
        File.WriteAllText(files.KeyFile, serverKey.ExportPkcs8PrivateKeyPem());
        return files;
    }
}
