using Api.Security.ApiKeys;
using Microsoft.AspNetCore.Http;

namespace Api.Edge;

/// <summary>
/// Who was refused a moment ago is refused again at the door, before anything else is done for the request, or kept alive while its
/// refusal is held back: a flood must not cost much more than reading it. A table of one size: a refusal may push out another, whose
/// caller is then refused the long way.
/// </summary>
sealed class RecentRefusals(TimeProvider clock)
{
    const int Places = 1024;
    const int LongestShown = 8 * 1024;

    readonly Refusal?[] _places = new Refusal?[Places];

    /// <param name="wait">How long nothing else can come of asking again.</param>
    public void Add(HttpContext context, TimeSpan wait)
    {
        var shown = Shown.Of(context);
        if (shown.IsKept)
            Volatile.Write(ref PlaceOf(shown), new Refusal(shown, clock.GetTimestamp(), wait));
    }

    /// <returns>What is left to wait for who shows the same as one that was refused.</returns>
    public bool Has(HttpContext context, out TimeSpan wait)
    {
        var shown = Shown.Of(context);
        wait = default;
        if (!shown.IsKept || Volatile.Read(ref PlaceOf(shown)) is not { } refusal || refusal.Shown != shown)
            return false;
        wait = refusal.Wait - clock.GetElapsedTime(refusal.At);
        return wait > TimeSpan.Zero;
    }

    ref Refusal? PlaceOf(Shown shown) => ref _places[(uint)shown.GetHashCode() % Places];

    sealed record Refusal(Shown Shown, long At, TimeSpan Wait);

    /// <summary>All of a request that tells whose it is and by which limit it is counted.</summary>
    readonly record struct Shown(string Key, string Authorization, bool IsScoring)
    {
        // Who shows nothing is known by address alone, and callers with keys may have the same.
        public bool IsKept => Key.Length + Authorization.Length is > 0 and <= LongestShown;

        public static Shown Of(HttpContext context)
        {
            var headers = context.Request.Headers;
            return new Shown(headers[ApiKeyText.Header].ToString(), headers.Authorization.ToString(), context.IsScoring());
        }
    }
}
