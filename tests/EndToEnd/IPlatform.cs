namespace EndToEnd;

/// <summary>The platform as its clients see it, in one process or in many.</summary>
public interface IPlatform
{
    /// <summary>To a process now running: not to be kept across a restart.</summary>
    HttpClient Http { get; }

    /// <summary>What its processes have printed, for whoever looks for the reason of a failure.</summary>
    string Output { get; }
}
