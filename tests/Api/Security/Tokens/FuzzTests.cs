using System.Text;
using Api.Security.Tokens;

namespace Api.Tests.Security.Tokens;

public sealed class FuzzTests
{
    const int Tokens = 100_000;

    static readonly string[] Scraps =
    [
        ".", "..", "=", "==", "%00", "\0", "\r\n", " ", "A", "AAAA", "_", "-", "+", "/", "é", "\u202e", "🚀", "\ud800", "eyJhbGciOiJub25lIn0", "eyJhbGciOiJub25lIn0.", "e30", "W10", "bnVsbA", "MQ", "Ii4i",
    ];

    readonly Authority _entra = new();

    [Fact]
    public async Task No_exception_comes_of_a_hundred_thousand_bent_tokens_and_none_of_them_opens()
    {
        var seed = Environment.TickCount;
        var random = new Random(seed);
        var good = Enumerable.Range(0, 20).Select(i => _entra.Token(p => p["x"] = new string('x', i * 37))).ToArray();
        var known = good.ToHashSet();
        var faults = new Dictionary<TokenFault, int>();
        for (var i = 0; i < Tokens; i++)
        {
            var token = Bend(random, good);
            try
            {
                var (caller, fault) = await _entra.Validator.ValidateAsync(token, CancellationToken.None);
                if (caller is not null)
                    known.ShouldContain(token, $"seed {seed}, token {i}");
                faults[fault] = faults.GetValueOrDefault(fault) + 1;
            }
            catch (Exception e) when (e is not ShouldAssertException)
            {
                throw new InvalidOperationException($"seed {seed}, token {i}: {Convert.ToBase64String(Encoding.Unicode.GetBytes(token))}", e);
            }
        }

        // Many doors were tried.
        faults.Count.ShouldBeGreaterThan(8, $"seed {seed}: {string.Join(", ", faults)}");
    }

    static string Bend(Random random, string[] good)
    {
        var token = good[random.Next(good.Length)];
        for (var bends = random.Next(1, 4); bends > 0; bends--)
        {
            var at = random.Next(token.Length + 1);
            token = random.Next(12) switch
            {
                0 => token[..at],
                1 => token[at..],
                2 => token.Insert(at, Scraps[random.Next(Scraps.Length)]),
                3 => at < token.Length ? token.Remove(at, Math.Min(random.Next(1, 9), token.Length - at)) : token,
                4 => at < token.Length ? $"{token[..at]}{(char)random.Next(1, 0x250)}{token[(at + 1)..]}" : token,
                5 => at < token.Length ? $"{token[..at]}{(char)(token[at] ^ (1 << random.Next(7)))}{token[(at + 1)..]}" : token,
                6 => Segments(token, random, parts => Array.Reverse(parts)),
                7 => Segments(token, random, parts => parts[random.Next(parts.Length)] = good[random.Next(good.Length)].Split('.')[random.Next(3)]),
                8 => Segments(token, random, parts => parts[random.Next(Math.Min(2, parts.Length))] = Json(random)),
                9 => Segments(token, random, parts => parts[random.Next(parts.Length)] = Authority.Text(Bytes(random))),
                10 => string.Concat(Enumerable.Repeat(token, random.Next(1, 30))),
                _ => Segments(token, random, parts => parts[^1] = ""),
            };
            if (token.Length > 40_000)
                return token;
        }

        return token;
    }

    static string Segments(string token, Random _, Action<string[]> change)
    {
        var parts = token.Split('.');
        change(parts);
        return string.Join('.', parts);
    }

    static byte[] Bytes(Random random)
    {
        var bytes = new byte[random.Next(60)];
        random.NextBytes(bytes);
        return bytes;
    }

    static string Json(Random random)
    {
        var depth = random.Next(40);
        return Authority.Text(Encoding.UTF8.GetBytes(random.Next(10) switch
        {
            0 => $"{new string('[', depth)}{new string(']', depth)}",
            1 => $$"""{"alg":"RS256","kid":"key-1","x":{{string.Concat(Enumerable.Repeat("{\"a\":", depth))}}1{{new string('}', depth)}}}""",
            2 => """{"alg":"RS256","kid":"key-1","exp":1e999999}""",
            3 => """{"alg":"RS256","kid":"\ud800"}""",
            4 => """{"alg":"RS256","kid":null}""",
            5 => $$"""{"alg":"RS256","kid":"{{new string('k', random.Next(2000))}}"}""",
            6 => """{"alg":"RS256","alg":"none","kid":"key-1"}""",
            7 => """{"ALG":"none"}""",
            8 => "nul",
            _ => """{"alg":{},"kid":[],"typ":0,"crit":false}""",
        }));
    }
}
