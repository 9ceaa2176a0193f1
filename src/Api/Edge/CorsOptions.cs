using Microsoft.Extensions.Options;

namespace Api.Edge;

public sealed class CorsOptions
{
    public const string Section = "Cors";

    /// <summary>Origins whose pages may call, such as <c>https://portal.example.com</c>. Default: none.</summary>
    public string[] Origins { get; init; } = [];

    internal sealed class Validator : IValidateOptions<CorsOptions>
    {
        public ValidateOptionsResult Validate(string? name, CorsOptions options) =>
            options.Origins.Where(origin => !IsOrigin(origin)).ToList() is { Count: > 0 } wrong
                ? ValidateOptionsResult.Fail($"Cors:Origins has {string.Join(", ", wrong)}: each must be https://host or http://localhost, with a port where it has one, and nothing behind it.")
                : ValidateOptionsResult.Success;

        static bool IsOrigin(string text) =>
            Uri.TryCreate(text, UriKind.Absolute, out var uri) && uri.GetLeftPart(UriPartial.Authority) == text && !text.Contains('*', StringComparison.Ordinal)
            && (uri.Scheme == Uri.UriSchemeHttps || (uri.Scheme == Uri.UriSchemeHttp && uri.Host == "localhost"));
    }
}
