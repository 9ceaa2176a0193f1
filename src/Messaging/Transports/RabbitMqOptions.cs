namespace Messaging.Transports;

/// <summary>Where RabbitMQ is and how to get in. Environment: <c>Messaging__RabbitMq__Host</c> and so on.</summary>
public sealed class RabbitMqOptions
{
    const string Section = $"{MessagingOptions.Section}:RabbitMq:";

    /// <summary>Name or address. Required.</summary>
    public string Host { get; init; } = "";

    /// <summary>1 to 65535. Default: 0, which is 5672, or 5671 with TLS.</summary>
    public int Port { get; init; }

    /// <summary>Default: <c>/</c>.</summary>
    public string VirtualHost { get; init; } = "/";

    /// <summary>Required.</summary>
    public string Username { get; init; } = "";

    /// <summary>This or <see cref="PasswordFile"/> is required.</summary>
    public string Password { get; init; } = "";

    /// <summary>A file whose first line is the password, as secret stores mount it.</summary>
    public string PasswordFile { get; init; } = "";

    /// <summary>Whether the connection is encrypted and the broker's certificate checked. Default: false.</summary>
    public bool Tls { get; init; }

    /// <summary>Name that the broker's certificate must bear. Default: empty, that of the host.</summary>
    public string TlsServerName { get; init; } = "";

    /// <summary>A PEM file of the authorities trusted for the broker's certificate. Default: empty, the machine's own.</summary>
    public string TlsAuthorityFile { get; init; } = "";

    /// <summary>Seconds of silence after which a connection counts as lost. 1 to 600. Default: 10.</summary>
    public int HeartbeatSeconds { get; init; } = 10;

    /// <summary>Seconds without a ready consumer after which an endpoint is started again. More than the 30 between two tries of its own. 1 to 600. Default: 45.</summary>
    public int EndpointPatienceSeconds { get; init; } = 45;

    internal ushort EffectivePort => (ushort)(Port > 0 ? Port : Tls ? 5671 : 5672);

    /// <summary>Names every setting that is wrong at once, and never a secret.</summary>
    /// <exception cref="MessagingConfigurationException">Something is missing or wrong.</exception>
    internal void Validate()
    {
        List<string> wrong = [];
        if (string.IsNullOrWhiteSpace(Host) || Uri.CheckHostName(Host.Trim('[', ']')) == UriHostNameType.Unknown)
            wrong.Add($"{Section}{nameof(Host)} must name the broker's machine");
        if (Port is < 0 or > 65535)
            wrong.Add($"{Section}{nameof(Port)} must be 1 to 65535, or 0 for the usual one");
        if (string.IsNullOrWhiteSpace(VirtualHost))
            wrong.Add($"{Section}{nameof(VirtualHost)} must not be empty");
        if (string.IsNullOrWhiteSpace(Username))
            wrong.Add($"{Section}{nameof(Username)} is missing");
        if (Password.Length > 0 && PasswordFile.Length > 0)
            wrong.Add($"{Section}{nameof(Password)} and {nameof(PasswordFile)} are both set: choose one");
        else if (Password.Length == 0 && PasswordFile.Length == 0)
            wrong.Add($"{Section}{nameof(Password)} or {nameof(PasswordFile)} is missing");
        if (PasswordFile.Length > 0 && !File.Exists(PasswordFile))
            wrong.Add($"{Section}{nameof(PasswordFile)} names {PasswordFile}, which is not there");
        if (TlsAuthorityFile.Length > 0 && !File.Exists(TlsAuthorityFile))
            wrong.Add($"{Section}{nameof(TlsAuthorityFile)} names {TlsAuthorityFile}, which is not there");
        if (!Tls && (TlsAuthorityFile.Length > 0 || TlsServerName.Length > 0))
            wrong.Add($"{Section}{nameof(Tls)} must be true for {nameof(TlsAuthorityFile)} and {nameof(TlsServerName)} to have a meaning");
        if (HeartbeatSeconds is < 1 or > 600)
            wrong.Add($"{Section}{nameof(HeartbeatSeconds)} must be 1 to 600");
        if (EndpointPatienceSeconds is < 1 or > 600)
            wrong.Add($"{Section}{nameof(EndpointPatienceSeconds)} must be 1 to 600");
        if (wrong.Count > 0)
            throw new MessagingConfigurationException($"RabbitMQ cannot be used: {string.Join("; ", wrong)}.");
    }

    /// <exception cref="MessagingConfigurationException">The file cannot be read or is empty.</exception>
    internal string ReadPassword()
    {
        if (Password.Length > 0)
            return Password;
        try
        {
            var line = File.ReadLines(PasswordFile).FirstOrDefault() ?? "";
            return line.Length > 0 ? line : throw new MessagingConfigurationException($"{Section}{nameof(PasswordFile)} names {PasswordFile}, whose first line is empty.");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new MessagingConfigurationException($"{Section}{nameof(PasswordFile)} names {PasswordFile}, which cannot be read: {e.Message}");
        }
    }
}
