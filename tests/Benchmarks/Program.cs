using Benchmarks;
using Benchmarks.Orders;

const string Usage = """
    batch      rows/s of the platform, submit to manifest, beside a plain COPY ... score() ... TO; resident memory
               [--rows 10000000,40000000] [--runs 5]
    start      submit to first shard running, of small jobs on a warm platform  [--jobs 50]
    writes     saga and job-row writes of one job  [--shards 10,1000,10000]
    schedules  how late scheduled messages arrive  [--rate 1000] [--seconds 30]
    sagas      sagas/s and idle latency of durable sagas on RabbitMQ, of the same with the repository in memory, and of peers
               [--sagas 4000] [--runs 5] [--peers FOLDER]; needs rabbitmq-server
    hostile    p50 and p99 of a quiet tenant's requests, alone and while another's clients do their worst  [--seconds 30] [--runs 5]
    worker     rows/s of a worker's shard beside a bare COPY with the same model and threads, and a small CNN beside bare runs  [--rows 5000000] [--runs 5]
    online     requests/s and p99 of 64 clients of one row each, with and without micro-batching, beside a bare endpoint  [--seconds 30] [--runs 5]
    connections  10,000 open connections at a steady rate in all  [--seconds 30] [--rate 1000]
    beside     p50 and p99 of online scoring at a steady rate, alone and beside a batch job with the same model  [--rows 40000000] [--rate 1000] [--seconds 30] [--runs 5]
    raw        the plain COPY alone, to see what the machine can do  [--rows ...] [--runs 5]
    all        the first four
    Every one takes [--folder FOLDER] for generated inputs (kept) and data folders (removed).
    """;

if (args is [HostileClients.Name, var server, var lasts])
    return await HostileClients.RunAsync(new Uri(server), int.Parse(lasts));
if (args is [BareServer.Name, var model])
    return await BareServer.RunAsync(model);
if (args is [ManyConnections.Name, var target, var seconds, var rate])
    return await ManyConnections.RunAsync(new Uri(target), int.Parse(seconds), int.Parse(rate));
if (args is not [var what, ..] || what is not ("batch" or "start" or "writes" or "schedules" or "sagas" or "hostile" or "online" or "worker" or "connections" or "beside" or "raw" or "all"))
{
    Console.Error.WriteLine(Usage);
    return 2;
}
try
{
    var options = BenchmarkOptions.Parse(args.AsSpan(1));
    Console.WriteLine(Machine.Describe());
    Console.WriteLine();
    if (what is "raw")
        BatchBenchmark.RunRaw(options);
    if (what is "batch" or "all")
        await BatchBenchmark.RunAsync(options);
    if (what is "start" or "all")
        await StartBenchmark.RunAsync(options);
    if (what is "writes" or "all")
        await WritesBenchmark.RunAsync(options);
    if (what is "schedules" or "all")
        await SchedulesBenchmark.RunAsync(options);
    if (what is "sagas")
        await SagaBenchmark.RunAsync(options);
    if (what is "hostile")
        await HostileBenchmark.RunAsync(options);
    if (what is "worker")
        await WorkerBenchmark.RunAsync(options);
    if (what is "online")
        await OnlineBenchmark.RunAsync(options);
    if (what is "connections")
        await OnlineBenchmark.RunConnectionsAsync(options);
    if (what is "beside")
        await BesideBenchmark.RunAsync(options);
    return 0;
}
catch (Exception e)
{
    // Caught so that the platform under test is stopped and its folder removed on the way out.
    Console.Error.WriteLine(e);
    return 1;
}
