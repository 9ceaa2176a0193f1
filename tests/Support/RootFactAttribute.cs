using Xunit;

namespace Support;

/// <summary>A fact about root, who alone can try it.</summary>
public sealed class RootFactAttribute : FactAttribute
{
    public RootFactAttribute()
    {
        if (Environment.UserName != "root")
            Skip = "Needs to run as root";
    }
}
