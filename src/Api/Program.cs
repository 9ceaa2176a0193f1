using Api;
using Artifacts;
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
    var builder = HostProcess.CreateBuilder(args, port: 8080);
    builder.AddPlatformDatabase();
    // What this host cannot send itself, the consumers' sweepers do.
    builder.AddBrokerMessaging(bus =>
    {
        bus.AddPostgresMessaging<PlatformDbContext>(messaging => (messaging.Sweep, messaging.DrainDeadLetters) = (false, false));
        bus.AddApi(builder.Configuration);
    });
    builder.Services.AddSharedArtifacts();
    builder.AddApi();
    builder.Services.AddHealthChecks().AddDatabase().AddCheck<DatabaseMigration>("tables", tags: [Health.Needed]);

    await using var app = builder.Build();
    app.MapApi();
    var broker = app.Services.GetRequiredService<BrokerAccess>();
    await app.RunToEndAsync();
    return broker.IsRefused ? 1 : 0;
}
catch (Exception e) when (e is OptionsValidationException or MessagingConfigurationException or NativePartMissingException or IOException)
{
    await Console.Error.WriteLineAsync(e.Message);
    return 1;
}
