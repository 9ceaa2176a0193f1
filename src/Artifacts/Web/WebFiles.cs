using System.IO.Compression;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using Contracts;
using Microsoft.Win32.SafeHandles;

namespace Artifacts.Web;

/// <summary>
/// Inputs from listed hosts. A name is resolved once, every address is judged, and the connection goes to the one that was judged. Each
/// redirect is judged like the first URI. Cookies, proxies and credentials do not exist here.
/// </summary>
sealed class WebFiles : IRemoteFiles, IDisposable
{
    const int MostRedirects = 5;

    readonly WebOptions options;
    readonly HttpClient client;

    public WebFiles(WebOptions options)
    {
        this.options = options;
        client = new HttpClient(new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseProxy = false,
            UseCookies = false,
            AutomaticDecompression = DecompressionMethods.None,
            ActivityHeadersPropagator = null,
            ConnectTimeout = options.Timeout,
            ConnectCallback = ConnectAsync,
            MaxResponseHeadersLength = 64,
            PooledConnectionLifetime = TimeSpan.FromMinutes(2),
        })
        { Timeout = Timeout.InfiniteTimeSpan };
    }

    public bool Any => options.Hosts.Length > 0;

    public static IEnumerable<string> Faults(WebOptions options)
    {
        if (options.MaxBytes <= 0 || options.MaxDecompressedBytes <= 0)
            yield return "Artifacts:Http:MaxBytes and MaxDecompressedBytes must be above 0.";
        if (options.Timeout <= TimeSpan.Zero || options.Timeout > TimeSpan.FromMinutes(10))
            yield return "Artifacts:Http:Timeout must be above 0 and at most 10 minutes.";
        foreach (var host in options.Hosts.Where(host => !Uri.TryCreate($"https://{host.Name}/", UriKind.Absolute, out var uri) || !string.Equals(uri.Authority, host.Name, StringComparison.OrdinalIgnoreCase)))
            yield return $"Artifacts:Http:Hosts: {host.Name} is no host or host:port.";
    }

    public async Task<PinnedFile> PinAsync(RemoteUri uri, string text, string field, CancellationToken cancellationToken)
    {
        var name = uri.IsFolder ? "" : FileUri.Decode(uri.Segments[^1], field);
        if (name.Length == 0)
            throw FileUri.Refuse("uri_invalid", field, "It names no file; folders cannot be listed over http.");
        if (uri.Segments.Any(segment => segment.Contains('*')))
            throw FileUri.Refuse("uri_invalid", field, "It has a *: over http there are no globs; give one file.");
        foreach (var segment in uri.Segments)
            FileUri.Decode(segment, field);
        if (!Uri.TryCreate(text, UriKind.Absolute, out _))
            throw FileUri.Refuse("uri_invalid", field, "Its host or port cannot be.");

        using var response = await SendAsync(HttpMethod.Head, text, name, field, null, cancellationToken);
        if (!response.IsSuccessStatusCode)
            throw Refused(response.StatusCode, name, field);
        if (response.Headers.ETag is not { IsWeak: false, Tag: { } tag } || response.Content.Headers.ContentLength is not { } length || response.Content.Headers.ContentEncoding.Count > 0)
            throw FileUri.Refuse("input_unpinnable", field, $"The server gives no strong ETag and length for {name}, so that a change could not be noticed; put the file where inputs are kept.");
        if (length > options.MaxBytes)
            throw FileUri.Refuse("input_too_large", field, $"{name} has {length} bytes; {options.MaxBytes} may be fetched over http (Artifacts:Http:MaxBytes).");
        return new PinnedFile(text, "", name, length, response.Content.Headers.LastModified?.UtcTicks ?? 0, tag);
    }

    public async Task DownloadAsync(PinnedFile file, SafeFileHandle target, CancellationToken cancellationToken)
    {
        using var response = await GetAsync(file, cancellationToken);
        await WithinAsync(file.Source, null, async (restart, token) =>
        {
            await using var content = await response.Content.ReadAsStreamAsync(token);
            var buffer = new byte[1 << 18];
            long read = 0;
            for (int length; (length = await content.ReadAsync(buffer, token)) > 0; read += length)
            {
                restart();
                // Never more than was pinned, whatever the server sends.
                if (read + length > file.Length)
                    throw RemoteFailures.Changed(file.Source);
                await RandomAccess.WriteAsync(target, buffer.AsMemory(0, length), read, token);
            }
            return read == file.Length ? true : throw new IOException("The answer ended early.");
        }, cancellationToken);
        if (file.Source.EndsWith(".gz", StringComparison.OrdinalIgnoreCase))
            await RequireDecompressedSizeAsync(file, target, cancellationToken);
    }

    // Such servers often give only whole files: the beginning can be had all the same.
    public async Task<byte[]?> ReadAsync(PinnedFile file, long offset, int count, CancellationToken cancellationToken)
    {
        if (offset > 0)
            return null;
        using var response = await GetAsync(file, cancellationToken);
        return await WithinAsync(file.Source, null, async (_, token) =>
        {
            var content = new byte[count];
            await using var stream = await response.Content.ReadAsStreamAsync(token);
            await stream.ReadExactlyAsync(content, token);
            return content;
        }, cancellationToken);
    }

    public void Dispose() => client.Dispose();

    async Task<HttpResponseMessage> GetAsync(PinnedFile file, CancellationToken cancellationToken)
    {
        var response = await SendAsync(HttpMethod.Get, file.Uri, file.Source, null, file.ETag, cancellationToken);
        if (response.StatusCode == HttpStatusCode.OK && response.Headers.ETag?.Tag == file.ETag && response.Content.Headers.ContentEncoding.Count == 0)
            return response;
        using (response)
            throw response.StatusCode is HttpStatusCode.OK or HttpStatusCode.PreconditionFailed or HttpStatusCode.NotFound or HttpStatusCode.Gone
                ? RemoteFailures.Changed(file.Source)
                : Refused(response.StatusCode, file.Source, null);
    }

    async Task<HttpResponseMessage> SendAsync(HttpMethod method, string text, string source, string? field, string? tag, CancellationToken cancellationToken)
    {
        var uri = new Uri(text);
        for (var redirects = 0; ; redirects++)
        {
            RequireListed(uri, source, field);
            var request = new HttpRequestMessage(method, uri);
            if (tag is not null)
                request.Headers.IfMatch.Add(new EntityTagHeaderValue(tag));
            request.Headers.AcceptEncoding.Add(new StringWithQualityHeaderValue("identity"));
            var response = await WithinAsync(source, field, (_, token) => client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, token), cancellationToken);
            if ((int)response.StatusCode is not (301 or 302 or 303 or 307 or 308) || response.Headers.Location is not { } location)
                return response;
            response.Dispose();
            var next = new Uri(uri, location);
            if (redirects == MostRedirects || (uri.Scheme == Uri.UriSchemeHttps && next.Scheme != Uri.UriSchemeHttps) || next.UserInfo.Length > 0)
                throw Of("uri_redirect_not_allowed", field, $"{source}: the server redirects more than {MostRedirects} times, to plain http or with credentials.");
            uri = next;
        }
    }

    void RequireListed(Uri uri, string source, string? field)
    {
        if (uri.Scheme is not ("http" or "https") || Host(uri.Authority) is null)
            throw Of("uri_host_not_allowed", field, $"{source}: its host, or one it redirects to, is none that inputs may come from; ask the operator which are.");
    }

    WebHostOptions? Host(string authority) => options.Hosts.FirstOrDefault(host => string.Equals(host.Name, authority, StringComparison.OrdinalIgnoreCase));

    async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellationToken)
    {
        // The request's, not the end point's: that one has the port in any case.
        var mayBePrivate = Host(context.InitialRequestMessage.RequestUri!.Authority) is { AllowPrivate: true };
        var addresses = await Dns.GetHostAddressesAsync(context.DnsEndPoint.Host, cancellationToken);
        // One bad address among good ones is a trap: which of them is taken is the caller's luck.
        if (addresses.Length == 0 || (!mayBePrivate && !addresses.All(PublicAddress.Is)))
            throw new AddressException();
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(addresses, context.DnsEndPoint.Port, cancellationToken);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    async Task<T> WithinAsync<T>(string source, string? field, Func<Action, CancellationToken, Task<T>> work, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(options.Timeout);
        try
        {
            return await work(() => limit.CancelAfter(options.Timeout), limit.Token);
        }
        catch (HttpRequestException e) when (e.InnerException is AddressException)
        {
            throw Of("uri_address_not_allowed", field, $"{source}: its host has an address outside the public internet, where nothing is fetched from.");
        }
        catch (Exception e) when (e is HttpRequestException or IOException || (e is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            throw RemoteFailures.Unavailable(source, field, "no answer, or half of one");
        }
    }

    async Task RequireDecompressedSizeAsync(PinnedFile file, SafeFileHandle target, CancellationToken cancellationToken)
    {
        await using var content = new GZipStream(new HandleStream(target, file.Length), CompressionMode.Decompress);
        var buffer = new byte[1 << 18];
        long size = 0;
        try
        {
            for (int length; (length = await content.ReadAsync(buffer, cancellationToken)) > 0;)
            {
                if ((size += length) > options.MaxDecompressedBytes)
                    throw new FailureException("input_too_large", $"{file.Source} has more than {options.MaxDecompressedBytes} bytes when it is decompressed (Artifacts:Http:MaxDecompressedBytes).");
            }
        }
        catch (InvalidDataException)
        {
            throw new FailureException("input_malformed", $"{file.Source} ends in .gz and is not a gzip file.");
        }
    }

    static FailureException Refused(HttpStatusCode status, string source, string? field) => status switch
    {
        HttpStatusCode.NotFound or HttpStatusCode.Gone => Of("input_missing", field, $"{source} does not exist; check the URI."),
        HttpStatusCode.TooManyRequests or HttpStatusCode.RequestTimeout or >= HttpStatusCode.InternalServerError => RemoteFailures.Unavailable(source, field, $"{(int)status}"),
        _ => Of("input_unreadable", field, $"{source}: the server answers {(int)status}; no credentials are sent to it."),
    };

    static FailureException Of(string code, string? field, string message) =>
        field is null ? new FailureException(code, message) : FileUri.Refuse(code, field, message);

    sealed class AddressException : Exception;

    /// <summary>Reads a file by its handle, which stays open: opening its path would meet its own lock.</summary>
    sealed class HandleStream(SafeFileHandle handle, long length) : Stream
    {
        long position;

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => length;

        public override long Position { get => position; set => throw new NotSupportedException(); }

        public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

        public override int Read(Span<byte> buffer)
        {
            var read = RandomAccess.Read(handle, buffer, position);
            position += read;
            return read;
        }

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            var read = await RandomAccess.ReadAsync(handle, buffer, position, cancellationToken);
            position += read;
            return read;
        }

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
