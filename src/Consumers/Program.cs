using Artifacts;
using Consumers;
using MassTransit;
using Messaging;
using Messaging.Postgres;
using Messaging.Transports;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Sagas.Persistence;
using ServiceDefaults;

try
{
    var builder = HostProcess.CreateBuilder(args, port: 8081);
    builder.AddHealthOnly();
    builder.AddPlatformDatabase();
    builder.AddBrokerMessaging(bus =>
    {
        bus.AddPostgresMessaging<PlatformDbContext>();
        bus.AddConsumers();
        bus.ConfigureHealthCheckOptions(check => check.Tags.Add(Health.Needed));
    });
    builder.Services.AddSharedArtifacts();
    builder.Services.AddConsumers(alone: false);
    builder.Services.AddHealthChecks().AddDatabase().AddCheck<DatabaseMigration>("tables", tags: [Health.Needed]);

    await using var app = builder.Build();
    app.UseHealthOnly();
    app.MapHealth();
    var broker = app.Services.GetRequiredService<BrokerAccess>();
    await app.RunToEndAsync();
    return broker.IsRefused ? 1 : 0;
}
catch (Exception e) when (e is OptionsValidationException or MessagingConfigurationException or NativePartMissingException or IOException)
{
    await Console.Error.WriteLineAsync(e.Message);
    return 1;
}
