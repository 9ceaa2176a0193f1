namespace Train.FraudDetection;

/// <summary>
/// Card transactions that nobody made. A row depends on the seed and its number alone, so any range of rows can be made
/// anywhere, in any order. Values are rounded like real ones.
/// </summary>
sealed class TransactionGenerator(ulong seed)
{
    internal const double FraudShare = 0.03;

    internal static readonly IReadOnlyList<CardColumn> Features =
    [
        new("amount", "euros"),
        new("amount_to_median", "amount / the holder's usual amount"),
        new("amount_to_max", "amount / the holder's largest amount in 90 days"),
        new("hour_of_day", "local time with its minutes, 0 to below 24"),
        new("day_of_week", "0 Monday to 6 Sunday"),
        new("is_weekend", "1 or 0"),
        new("is_night", "1 from 23:00 to 5:00"),
        new("transactions_1h", "by the card in the last hour"),
        new("transactions_24h", "by the card in 24 hours"),
        new("transactions_7d", "by the card in 7 days"),
        new("spent_24h", "euros in 24 hours, this one included"),
        new("spent_7d", "euros in 7 days, this one included"),
        new("merchants_24h", "different merchants in 24 hours"),
        new("countries_7d", "different countries in 7 days"),
        new("declines_24h", "declined attempts in 24 hours"),
        new("hours_since_last", "since the card's last transaction"),
        new("km_from_home", "merchant to home"),
        new("km_from_last", "merchant to the last merchant"),
        new("is_foreign", "1 when the merchant is abroad"),
        new("is_online", "1 or 0"),
        new("chip_used", "1 or 0"),
        new("pin_entered", "1 or 0"),
        new("is_new_merchant", "1 when the holder never paid there before"),
        new("merchant_fraud_rate", "percent of the merchant's transactions, last year"),
        new("merchant_age_years", "since the merchant's first transaction"),
        new("account_age_years", "since the account was opened"),
        new("device_age_days", "since the device was first seen, at most 1,000"),
        new("failed_logins_24h", "to the holder's online banking"),
        new("address_mismatch", "1 when shipping and billing address differ"),
        new("balance_share", "amount / what the account could pay, 0 to 1"),
    ];

    /// <summary>Fills <paramref name="row"/> and says whether it is a fraud.</summary>
    internal bool Generate(long number, Span<float> row)
    {
        var random = new RandomStream(seed, (ulong)number);
        var isFraud = random.Uniform() < FraudShare;
        // Some frauds are made to look usual, and some holders live unusually: nothing separates them all.
        var strange = isFraud ? random.Uniform() < 0.88 : random.Uniform() < 0.008;
        var online = random.Uniform() < (strange ? 0.75 : 0.4);
        var travels = random.Uniform() < (strange ? 0.35 : 0.07);
        var activity = Numerics.Exp(0.5 * random.Normal());

        var median = Numerics.Exp(3.2 + 0.55 * random.Normal());
        var ratio = Math.Min(Numerics.Exp((strange ? 0.7 : -0.15) + (strange ? 1.0 : 0.75) * random.Normal()), 40);
        var amount = median * ratio;
        row[0] = Round(amount, 100);
        row[1] = Round(ratio, 1000);
        row[2] = Round(ratio / Numerics.Exp(1.5 + 0.35 * random.Normal()), 1000);

        var hour = strange && random.Uniform() < 0.5 ? 24 * random.Uniform() : 14.5 + 4.5 * random.Normal();
        hour = hour < 0 ? hour + 24 : hour >= 24 ? hour - 24 : hour;
        var day = random.Below(7);
        row[3] = Math.Min(Round(hour, 100), 23.99f);
        row[4] = day;
        row[5] = day >= 5 ? 1 : 0;
        row[6] = hour is >= 23 or < 5 ? 1 : 0;

        var burst = strange && random.Uniform() < 0.6;
        var lastHour = Count(ref random, burst ? 2.5 : 0.25 * activity, 20);
        var lastDay = lastHour + Count(ref random, (burst ? 5 : 1.8) * activity, 60);
        var lastWeek = lastDay + Count(ref random, 12 * activity, 200);
        row[7] = lastHour;
        row[8] = lastDay;
        row[9] = lastWeek;
        var spentDay = amount + lastDay * median * Numerics.Exp(0.3 * random.Normal());
        row[10] = Round(spentDay, 10);
        row[11] = Round(spentDay + (lastWeek - lastDay) * median * Numerics.Exp(0.2 * random.Normal()), 1);
        row[12] = 1 + (int)(lastDay * (0.5 + 0.5 * random.Uniform()));
        row[13] = 1 + (travels ? 1 + random.Below(3) : random.Uniform() < 0.05 ? 1 : 0);
        row[14] = Count(ref random, strange ? 0.8 : 0.06, 10);
        row[15] = Round(Math.Min(random.Exponential(burst ? 0.7 : 12 / activity), 400), 100);

        var kmFromHome = travels ? 150 + random.Exponential(1200) : random.Exponential(12);
        row[16] = Round(Math.Min(kmFromHome, 9000), 10);
        row[17] = Round(Math.Min(online ? random.Exponential(40) : kmFromHome * (0.3 + 0.7 * random.Uniform()), 9000), 10);
        row[18] = travels && random.Uniform() < 0.8 ? 1 : 0;
        row[19] = online ? 1 : 0;
        var chip = !online && random.Uniform() < (strange ? 0.6 : 0.93);
        row[20] = chip ? 1 : 0;
        row[21] = chip && random.Uniform() < (strange ? 0.35 : 0.7) ? 1 : 0;

        row[22] = random.Uniform() < (strange ? 0.8 : 0.25) ? 1 : 0;
        row[23] = Round(Math.Min(Numerics.Exp((strange ? 0.1 : -1.2) + 0.8 * random.Normal()), 25), 100);
        row[24] = Round(Math.Min(random.Exponential(strange ? 2.5 : 7), 40), 10);
        row[25] = Round(Math.Min(random.Exponential(strange ? 5 : 7), 50), 10);
        row[26] = (float)Math.Floor(Math.Min(random.Exponential(strange ? 60 : 350), 1000));
        row[27] = Count(ref random, strange ? 0.6 : 0.08, 10);
        row[28] = online && random.Uniform() < (strange ? 0.45 : 0.08) ? 1 : 0;
        row[29] = Round(Math.Min(ratio * Numerics.Exp(-3.2 + 0.7 * random.Normal()), 1), 1000);
        return isFraud;
    }

    static float Round(double value, double steps) => (float)(Math.Round(value * steps) / steps);

    // Geometric rather than Poisson: bursts are what real counts have.
    static int Count(ref RandomStream random, double mean, int most) =>
        (int)Math.Min(random.Exponential(1 / Numerics.Log(1 + 1 / mean)), most);
}
