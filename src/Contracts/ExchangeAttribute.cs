namespace Contracts;

/// <summary>The exchange on which a message is published, under a name that outsiders may rely on.</summary>
[AttributeUsage(AttributeTargets.Class)]
public sealed class ExchangeAttribute(string name) : Attribute
{
    public string Name { get; } = name;
}
