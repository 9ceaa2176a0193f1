using System.Net.Sockets;
using Microsoft.AspNetCore.Http;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;

namespace Api.Tests;

public sealed class FailureHandlerTests
{
    /// <summary>As PostgreSQL says it: shut down, crashed, starting, lost, full, deadlocked; no database or tables yet.</summary>
    [Theory]
    [InlineData("57P01")]
    [InlineData("57P02")]
    [InlineData("57P03")]
    [InlineData("08006")]
    [InlineData("53300")]
    [InlineData("40P01")]
    [InlineData("3D000")]
    [InlineData("42P01")]
    public async Task A_database_that_cannot_answer_now_is_503_with_retry_after_however_it_is_wrapped(string sqlState)
    {
        var said = new PostgresException("said", "FATAL", "FATAL", sqlState);

        (await HandleAsync(said)).ShouldBe((503, "5"));
        (await HandleAsync(new DbUpdateException("wrapped", said))).ShouldBe((503, "5"));
        (await HandleAsync(new InvalidOperationException("wrapped", new DbUpdateException("twice", said)))).ShouldBe((503, "5"));
    }

    [Fact]
    public async Task A_database_that_is_not_there_is_503_with_retry_after()
    {
        Exception[] silences = [new SocketException((int)SocketError.ConnectionRefused), new IOException("reset"), new EndOfStreamException(), new TimeoutException()];
        foreach (var silence in silences)
            (await HandleAsync(new InvalidOperationException("wrapped", new NpgsqlException("no answer", silence)))).ShouldBe((503, "5"));
    }

    [Fact]
    public async Task What_is_our_own_fault_stays_500()
    {
        (await HandleAsync(new PostgresException("said", "ERROR", "ERROR", PostgresErrorCodes.SyntaxError))).ShouldBe((500, ""));
        (await HandleAsync(new InvalidOperationException("a mistake"))).ShouldBe((500, ""));
    }

    static async Task<(int Status, string RetryAfter)> HandleAsync(Exception exception)
    {
        await using var services = new ServiceCollection().AddLogging().AddProblemDetails().BuildServiceProvider();
        var context = new DefaultHttpContext { RequestServices = services };
        (await new FailureHandler(NullLogger<FailureHandler>.Instance).TryHandleAsync(context, exception, default)).ShouldBeTrue();
        return (context.Response.StatusCode, context.Response.Headers.RetryAfter.ToString());
    }
}
