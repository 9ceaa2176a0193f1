using System.Buffers.Binary;
using System.Data;
using System.Security.Cryptography;
using System.Text;
using Microsoft.EntityFrameworkCore;
using Sagas.Persistence;
using Sagas.Security;

namespace Api.Security.Audit;

/// <summary>Where an audit is not what was written.</summary>
/// <param name="Finding"><c>altered</c>: the row, or one before it, is not as it was. <c>missing</c>: there is none. <c>surplus</c>: it was not added by the platform.</param>
public sealed record AuditFinding(long Seq, string Finding, string Message);

/// <summary>Goes through a tenant's audit from its first row and reckons every hash again, apart from the SQL that wrote it.</summary>
static class AuditChain
{
    const int HashBytes = 32;

    /// <returns>The rows gone through, the head as it is kept, and the first row that is wrong.</returns>
    public static async Task<(long Entries, AuditHead Head, AuditFinding? First)> VerifyAsync(
        PlatformDbContext db, string tenant, AuditPlace? known, CancellationToken cancellationToken)
    {
        // One moment: rows and head belong together.
        await using var transaction = await db.Database.BeginTransactionAsync(IsolationLevel.RepeatableRead, cancellationToken);
        var head = await db.AuditHeads.AsNoTracking().SingleOrDefaultAsync(h => h.Tenant == tenant, cancellationToken)
            ?? new AuditHead { Tenant = tenant, Hash = new byte[HashBytes] };
        var (seq, previous) = (0L, new byte[HashBytes]);
        await foreach (var entry in db.AuditEntries.AsNoTracking().OrderBy(e => e.Seq).AsAsyncEnumerable().WithCancellation(cancellationToken))
        {
            seq++;
            if (entry.Seq > seq)
                return (seq, head, Missing(seq));
            if (seq > head.Seq)
                return (seq, head, new AuditFinding(entry.Seq, "surplus", $"Row {entry.Seq} comes after the end that was written, which is {head.Seq}."));
            if (!entry.PreviousHash.AsSpan().SequenceEqual(previous) || !entry.Hash.AsSpan().SequenceEqual(HashOf(entry)))
                return (seq, head, Altered(entry.Seq));
            if (known?.Seq == entry.Seq && !known.Hash.Equals(Convert.ToHexString(entry.Hash), StringComparison.OrdinalIgnoreCase))
                return (seq, head, new AuditFinding(entry.Seq, "altered", $"Row {entry.Seq} has another hash than the one you know: it, or rows before it, were written anew."));
            previous = entry.Hash;
        }

        if (seq < head.Seq || known?.Seq > seq)
            return (seq, head, Missing(seq + 1));
        return previous.AsSpan().SequenceEqual(head.Hash) ? (seq, head, null) : (seq, head, Altered(seq));
    }

    /// <summary>As <c>sagas.append_audit</c> reckons it: the hash before, number, microseconds since 1970, and each field with its length before it.</summary>
    public static byte[] HashOf(AuditEntry entry)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(entry.PreviousHash);
        AppendNumber(hash, entry.Seq);
        AppendNumber(hash, (entry.At - DateTimeOffset.UnixEpoch).Ticks / TimeSpan.TicksPerMicrosecond);
        foreach (var field in new[] { entry.Tenant, entry.Actor, entry.ActorName, entry.Action, entry.Subject, entry.Reason, entry.Trace })
            AppendField(hash, field);
        return hash.GetHashAndReset();
    }

    static void AppendNumber(IncrementalHash hash, long number)
    {
        Span<byte> bytes = stackalloc byte[sizeof(long)];
        BinaryPrimitives.WriteInt64BigEndian(bytes, number);
        hash.AppendData(bytes);
    }

    static void AppendField(IncrementalHash hash, string? field)
    {
        var text = field is null ? [] : Encoding.UTF8.GetBytes(field);
        Span<byte> length = stackalloc byte[sizeof(int)];
        BinaryPrimitives.WriteInt32BigEndian(length, field is null ? -1 : text.Length);
        hash.AppendData(length);
        hash.AppendData(text);
    }

    static AuditFinding Missing(long seq) => new(seq, "missing", $"Row {seq} is not there.");

    static AuditFinding Altered(long seq) => new(seq, "altered", $"Row {seq} is not as it was written, or stands in another's place.");
}
