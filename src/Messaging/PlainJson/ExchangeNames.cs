using System.Reflection;
using Contracts;
using MassTransit;

namespace Messaging.PlainJson;

/// <summary>Exchanges with a name of their own have it; the others are named after their message's type, as ever.</summary>
sealed class ExchangeNames(IEntityNameFormatter others) : IEntityNameFormatter
{
    public string FormatEntityName<T>() => typeof(T).GetCustomAttribute<ExchangeAttribute>(inherit: false)?.Name ?? others.FormatEntityName<T>();
}
