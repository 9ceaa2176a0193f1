using System.Net;
using System.Security.Cryptography;
using Api.Security.Tokens;
using Contracts;

namespace Api.Tests.Security.Tokens;

public sealed class SigningKeysTests
{
    static readonly Lazy<RSA> Second = new(() => RSA.Create(2048));
    static readonly Lazy<RSA> Weak = new(() => RSA.Create(1024));

    readonly Authority _entra = new();

    [Fact]
    public async Task Keys_are_read_once_and_kept()
    {
        for (var i = 0; i < 10; i++)
            (await _entra.FaultAsync(_entra.Token())).ShouldBe(TokenFault.None);
        _entra.Requests.ShouldBe(2);
    }

    [Fact]
    public async Task A_key_that_has_just_come_is_found_by_reading_again()
    {
        await _entra.CallerAsync(_entra.Token());
        _entra.Pass(TimeSpan.FromMinutes(1));
        _entra.Publish("key-2", Second.Value);
        (await _entra.FaultAsync(_entra.Token(header: h => h["kid"] = "key-2", key: Second.Value))).ShouldBe(TokenFault.None);
        _entra.Requests.ShouldBe(4);
        (await _entra.FaultAsync(_entra.Token())).ShouldBe(TokenFault.None);
    }

    [Fact]
    public async Task A_key_that_was_withdrawn_is_good_for_nothing_after_the_next_reading()
    {
        await _entra.CallerAsync(_entra.Token());
        _entra.Publish("key-2", Second.Value);
        _entra.Withdraw("key-1");
        _entra.Pass(TimeSpan.FromMinutes(1));
        await _entra.CallerAsync(_entra.Token(header: h => h["kid"] = "key-2", key: Second.Value));
        (await _entra.FaultAsync(_entra.Token())).ShouldBe(TokenFault.KeyUnknown);
    }

    [Fact]
    public async Task Unknown_keys_make_it_read_again_no_more_than_twice_a_minute()
    {
        await _entra.CallerAsync(_entra.Token());
        for (var i = 0; i < 100; i++)
            (await _entra.FaultAsync(_entra.Token(header: h => h["kid"] = $"guess-{i}"))).ShouldBe(TokenFault.KeyUnknown);
        _entra.Requests.ShouldBe(2);
        _entra.Pass(TimeSpan.FromSeconds(30));
        for (var i = 0; i < 100; i++)
            (await _entra.FaultAsync(_entra.Token(header: h => h["kid"] = $"guess-{i}"))).ShouldBe(TokenFault.KeyUnknown);
        _entra.Requests.ShouldBe(4);
    }

    [Fact]
    public async Task However_many_wait_one_reads()
    {
        _entra.Gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var waiting = Enumerable.Range(0, 100).Select(_ => _entra.FaultAsync(_entra.Token())).ToList();
        _entra.Gate.SetResult();
        (await Task.WhenAll(waiting)).ShouldAllBe(fault => fault == TokenFault.None);
        _entra.Requests.ShouldBe(2);
    }

    [Fact]
    public async Task While_it_does_not_answer_the_keys_at_hand_are_used_to_the_end_of_their_time()
    {
        await _entra.CallerAsync(_entra.Token());
        _entra.Answer = _ => throw new HttpRequestException("No route.");
        _entra.Pass(TimeSpan.FromHours(11));
        (await _entra.FaultAsync(_entra.Token())).ShouldBe(TokenFault.None);
        _entra.Pass(TimeSpan.FromHours(1.1));
        var refused = await Should.ThrowAsync<FailureException>(() => _entra.FaultAsync(_entra.Token()));
        (refused.Failure.Code, refused.IsTransient).ShouldBe(("identity_provider_unavailable", true));

        _entra.Answer = _ => null;
        _entra.Pass(TimeSpan.FromMinutes(1));
        (await _entra.FaultAsync(_entra.Token())).ShouldBe(TokenFault.None);
    }

    [Fact]
    public async Task Keys_are_read_anew_before_their_time_is_over()
    {
        await _entra.CallerAsync(_entra.Token());
        _entra.Pass(TimeSpan.FromHours(7));
        await _entra.CallerAsync(_entra.Token());
        await Support.Eventually.TrueAsync(() => _entra.Requests == 4, "the second reading");
    }

    static readonly Dictionary<string, Action<Authority>> Spoilers = new()
    {
        ["a redirect"] = a => a.Answer = _ => new HttpResponseMessage(HttpStatusCode.Found) { Headers = { Location = new Uri("https://evil.test/") } },
        ["an error"] = a => a.Answer = _ => Authority.Json("{}", HttpStatusCode.InternalServerError),
        ["no JSON"] = a => a.Answer = _ => Authority.Json("<html>"),
        ["a list"] = a => a.Answer = _ => Authority.Json("[]"),
        ["no issuer"] = a => a.Answer = uri => uri.AbsolutePath.EndsWith("keys", StringComparison.Ordinal) ? null : Authority.Json($$"""{"jwks_uri":"{{Authority.Host}}/keys"}"""),
        ["keys elsewhere"] = a => a.JwksUri = "https://evil.test/keys",
        ["keys at another port"] = a => a.JwksUri = $"{Authority.Host}:8443/keys",
        ["keys in the clear"] = a => a.JwksUri = "http://login.test/keys",
        ["keys in a file"] = a => a.JwksUri = "file:///etc/passwd",
        ["more than it may have"] = a => a.Answer = _ => Authority.Json($$"""{"x":"{{new string('x', SigningKeys.MostBytes)}}"}"""),
        ["no keys"] = a => a.Answer = uri => uri.AbsolutePath.EndsWith("keys", StringComparison.Ordinal) ? Authority.Json("{}") : null,
        ["an issuer twice"] = a => a.Answer = uri => uri.AbsolutePath.EndsWith("keys", StringComparison.Ordinal) ? null : Authority.Json($$"""{"issuer":"a","issuer":"b","jwks_uri":"{{Authority.Host}}/keys"}"""),
    };

    public static TheoryData<string> Bad => [.. Spoilers.Keys];

    [Theory]
    [MemberData(nameof(Bad))]
    public async Task Bad_metadata_give_no_keys(string what)
    {
        Spoilers[what](_entra);
        (await Should.ThrowAsync<FailureException>(() => _entra.FaultAsync(_entra.Token()), what)).Failure.Code.ShouldBe("identity_provider_unavailable");
    }

    [Fact]
    public async Task Keys_that_are_weak_or_for_something_else_are_as_if_not_there()
    {
        _entra.Publish("weak", Weak.Value);
        _entra.Publish("for encryption", Second.Value, key => key["use"] = "enc");
        _entra.Publish("elliptic", Second.Value, key => key["kty"] = "EC");
        _entra.Publish("of another algorithm", Second.Value, key => key["alg"] = "RS512");
        _entra.Publish("symmetric", Second.Value, key => key["kty"] = "oct");
        _entra.Publish("even exponent", Second.Value, key => key["e"] = "Ag");
        _entra.Publish("no number", Second.Value, key => key["n"] = "*");
        _entra.Publish("key-1", Second.Value);
        foreach (var id in new[] { "weak", "for encryption", "elliptic", "of another algorithm", "symmetric", "even exponent", "no number" })
            (await _entra.FaultAsync(_entra.Token(header: h => h["kid"] = id, key: id == "weak" ? Weak.Value : Second.Value))).ShouldBe(TokenFault.KeyUnknown, id);
        // The first of a name counts.
        (await _entra.FaultAsync(_entra.Token())).ShouldBe(TokenFault.None);
    }
}
