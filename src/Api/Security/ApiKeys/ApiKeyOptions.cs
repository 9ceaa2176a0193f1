using System.ComponentModel.DataAnnotations;

namespace Api.Security.ApiKeys;

public sealed class ApiKeyOptions
{
    public const string Section = "Authentication:ApiKeys";

    /// <summary>Whether callers may show a key. Default: false.</summary>
    public bool Enabled { get; init; }

    /// <summary>Makes another administrator's key at this start, for when all are lost. Default: false.</summary>
    public bool NewAdministrator { get; init; }

    /// <summary>Where the first administrator's key is written, readable for the platform's user alone, instead of to standard output. Default: empty.</summary>
    public string AdministratorKeyFile { get; init; } = "";

    /// <summary>Longest life of a key, in days. Default: 365.</summary>
    [Range(1, 3650)]
    public int MaxDays { get; init; } = 365;
}
