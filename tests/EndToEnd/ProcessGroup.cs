using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using Standalone;
using Support;

namespace EndToEnd;

/// <summary>How many processes of each host, and what they are told besides where everything is.</summary>
public sealed record ProcessGroupLaunch(int Apis, int Consumers, int Workers)
{
    public IReadOnlyDictionary<string, string> Settings { get; init; } = new Dictionary<string, string>();
}

/// <summary>The platform as several processes, over a PostgreSQL and a RabbitMQ of their own. Any of them may be stopped, killed and started again.</summary>
public sealed class ProcessGroup : IPlatform, IAsyncDisposable
{
    /// <summary>Leaves traces that outlive what they are of: rows come and go, and what was rolled back is counted by sequences alone.</summary>
    const string TracesSql =
        """
        CREATE TABLE public.transitions (nr bigint GENERATED ALWAYS AS IDENTITY, job uuid NOT NULL, state text NOT NULL, node text NOT NULL);
        CREATE FUNCTION public.remember_transition() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
            BEGIN INSERT INTO public.transitions (job, state, node) VALUES (NEW.correlation_id, NEW.current_state, current_setting('application_name')); RETURN NULL; END $$;
        CREATE TRIGGER remember_start AFTER INSERT ON sagas.batch_jobs FOR EACH ROW EXECUTE FUNCTION public.remember_transition();
        CREATE TRIGGER remember_change AFTER UPDATE ON sagas.batch_jobs FOR EACH ROW
            WHEN (OLD.current_state IS DISTINCT FROM NEW.current_state) EXECUTE FUNCTION public.remember_transition();

        CREATE SEQUENCE public.outbox_rows MINVALUE 0 START 0;
        CREATE SEQUENCE public.inbox_tries MINVALUE 0 START 0;
        SELECT nextval('public.outbox_rows'), nextval('public.inbox_tries');
        CREATE FUNCTION public.count_row() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN PERFORM nextval(TG_ARGV[0]::regclass); RETURN NEW; END $$;
        CREATE TRIGGER count_row BEFORE INSERT ON messaging.outbox FOR EACH ROW EXECUTE FUNCTION public.count_row('public.outbox_rows');
        CREATE TRIGGER count_row BEFORE INSERT ON messaging.inbox FOR EACH ROW EXECUTE FUNCTION public.count_row('public.inbox_tries');
        """;

    readonly TestFolder _folder = new();
    readonly ProcessGroupLaunch _launch;
    readonly List<HostProcess> _hosts = [];
    readonly Lock _lock = new();
    readonly List<HostProcess> _killed = [];
    NpgsqlDataSource _traces = null!;
    int _turn;

    ProcessGroup(ProcessGroupLaunch launch) => _launch = launch;

    public EmbeddedPostgres Postgres { get; private set; } = null!;

    public RabbitMqProcess Broker { get; private set; } = null!;

    /// <summary>Whatever lies in it may be scored.</summary>
    public string Inputs => _folder["inputs"];

    public string Results => _folder["results"];

    /// <summary>How many processes there are; each has a number below it.</summary>
    public int Count => _launch.Apis + _launch.Consumers + _launch.Workers;

    /// <summary>The Apis in turn.</summary>
    public HttpClient Http
    {
        get
        {
            lock (_lock)
                return _hosts[_turn++ % _launch.Apis].Http;
        }
    }

    public string Output
    {
        get
        {
            lock (_lock)
                return string.Join('\n', _killed.Concat(_hosts).Select(h => $"--- {h.Launch.Host}, process {h.ProcessId}:\n{h.Output}"));
        }
    }

    public static async Task<ProcessGroup> StartAsync(ProcessGroupLaunch launch)
    {
        var group = new ProcessGroup(launch);
        try
        {
            await group.StartAsync();
            return group;
        }
        catch
        {
            await group.DisposeAsync();
            throw;
        }
    }

    async Task StartAsync()
    {
        foreach (var folder in new[] { Inputs, Results, _folder["models"] })
            Directory.CreateDirectory(folder);
        var broker = RabbitMqProcess.StartNewAsync();
        Postgres = await StartPostgresAsync();
        _traces = NpgsqlDataSource.Create(new NpgsqlConnectionStringBuilder(Postgres.ConnectionString) { ApplicationName = "test" }.ConnectionString);
        Broker = await broker;
        _hosts.AddRange(await Task.WhenAll(Enumerable.Range(0, Count).Select(number => HostProcess.StartAsync(Launch(number)))));
        await Task.WhenAll(_hosts.Select(h => h.ReadyAsync()));
        await ExecuteAsync(TracesSql);
    }

    /// <summary>The one with this number, as it is now.</summary>
    public HostProcess Host(int number)
    {
        lock (_lock)
            return _hosts[number];
    }

    /// <summary>kill -9 of one of them, and another in its place.</summary>
    /// <returns>Which host it was.</returns>
    public async Task<string> KillAndStartAsync(int number)
    {
        HostProcess killed;
        lock (_lock)
            killed = _hosts[number];
        await killed.KillAsync();
        var next = await HostProcess.StartAsync(killed.Launch);
        lock (_lock)
        {
            _hosts[number] = next;
            _killed.Add(killed);
        }

        return killed.Launch.Host;
    }

    /// <summary>Stops it as an operator would and starts it again on the same port.</summary>
    public async Task RestartPostgresAsync()
    {
        await Postgres.StopAsync();
        Postgres = await StartPostgresAsync();
        _traces.Clear();
    }

    Task<EmbeddedPostgres> StartPostgresAsync() =>
        EmbeddedPostgres.StartAsync(new EmbeddedPostgresOptions { DataFolder = _folder["data"], Durable = false }, NullLogger.Instance);

    /// <summary>Each row's first column.</summary>
    public async Task<List<T>> QueryAsync<T>(string sql, params object[] parameters)
    {
        await using var command = _traces.CreateCommand(sql);
        foreach (var value in parameters)
            command.Parameters.Add(new NpgsqlParameter { Value = value });
        await using var reader = await command.ExecuteReaderAsync();
        List<T> found = [];
        while (await reader.ReadAsync())
            found.Add(reader.GetFieldValue<T>(0));
        return found;
    }

    public async Task<long> CountAsync(string sql, params object[] parameters) => (await QueryAsync<long>(sql, parameters)).Single();

    async Task ExecuteAsync(string sql)
    {
        await using var command = _traces.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }

    /// <summary>What a host of the group is told; <paramref name="number"/> says which.</summary>
    public HostLaunch Launch(int number)
    {
        var host = number < _launch.Apis ? "Api" : number < _launch.Apis + _launch.Consumers ? "Consumers" : "GpuWorker";
        var settings = new Dictionary<string, string>
        {
            ["ConnectionStrings:Sagas"] = new NpgsqlConnectionStringBuilder(Postgres.ConnectionString) { ApplicationName = $"{host} {number}" }.ConnectionString,
            ["Messaging:Transport"] = "RabbitMq",
            ["Messaging:RabbitMq:Host"] = "127.0.0.1",
            ["Messaging:RabbitMq:Port"] = $"{Broker.Port}",
            ["Messaging:RabbitMq:Username"] = Broker.Username,
            ["Messaging:RabbitMq:Password"] = Broker.Password,
            ["Artifacts:InputRoots:0"] = Inputs,
            ["Artifacts:InputRoots:1"] = Path.Combine(PlatformFixture.Samples, "data"),
            ["Artifacts:OutputRoots:0"] = Results,
            ["Artifacts:ModelsRoot"] = _folder["models"],
            ["Api:SampleModels"] = Path.Combine(PlatformFixture.Samples, "models"),
            ["Api:BatchInference:Output"] = new Uri(Results).AbsoluteUri,
            ["Api:InspectTimeout"] = "00:00:05",
            // As many as the load brings, and what they leave gone soon.
            ["WorkLedger:JobsPerTenant"] = "100",
            ["BatchInference:Saga:CleanUpDelay"] = "00:00:01",
            ["GpuWorker:Slots"] = "2",
            ["GpuWorker:ThreadsPerSlot"] = "1",
        };
        if (host == "GpuWorker")
            settings.Remove("ConnectionStrings:Sagas");
        foreach (var (name, value) in _launch.Settings)
            settings[name] = value;
        return new HostLaunch(host, settings);
    }

    /// <summary>Leaves nothing running and nothing behind.</summary>
    public async ValueTask DisposeAsync()
    {
        foreach (var host in _hosts.Concat(_killed))
            await host.DisposeAsync();
        if (Broker is not null)
            await Broker.DisposeAsync();
        if (_traces is not null)
            await _traces.DisposeAsync();
        if (Postgres is not null)
            await Postgres.DisposeAsync();
        _folder.Dispose();
    }
}
