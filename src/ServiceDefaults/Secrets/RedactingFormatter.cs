using Contracts;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Logging.Console;

namespace ServiceDefaults.Secrets;

/// <summary>Writes what another formatter writes, with secrets masked: message, values, scopes and exceptions alike.</summary>
sealed class RedactingFormatter(ConsoleFormatter inner) : ConsoleFormatter(inner.Name)
{
    const int LargestKept = 64 * 1024;

    [ThreadStatic]
    static StringWriter? t_line;

    public override void Write<TState>(in LogEntry<TState> logEntry, IExternalScopeProvider? scopeProvider, TextWriter textWriter)
    {
        var line = t_line ?? new StringWriter();
        // What an argument logs while it is written out gets a line of its own.
        t_line = null;
        inner.Write(in logEntry, scopeProvider, line);
        var text = line.GetStringBuilder();
        textWriter.Write(Redaction.Text(text.ToString()));
        text.Clear();
        t_line = text.Capacity <= LargestKept ? line : null;
    }

    /// <summary>Stands before each formatter that there is.</summary>
    public static void Decorate(IServiceCollection services)
    {
        for (var i = 0; i < services.Count; i++)
            if (services[i] is { ServiceType: { } type, ImplementationType: { } formatter } && type == typeof(ConsoleFormatter))
                services[i] = ServiceDescriptor.Singleton<ConsoleFormatter>(
                    provider => new RedactingFormatter((ConsoleFormatter)ActivatorUtilities.CreateInstance(provider, formatter)));
    }
}
