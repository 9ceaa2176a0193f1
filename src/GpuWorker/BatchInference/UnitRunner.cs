using Contracts;
using Contracts.BatchInference;
using Interop.DuckDb;
using Messaging;
using Microsoft.Extensions.Logging;

namespace GpuWorker.BatchInference;

/// <summary>The border between a unit's work and the bus: what a unit throws becomes what the ledger understands.</summary>
public sealed partial class UnitRunner(RunningUnits units, UnitHeartbeats heartbeats, WorkerIdentity worker, ILogger<UnitRunner> logger)
{
    /// <param name="redelivered">The broker gave the order to somebody before. Whether its rows are to blame is the ledger's to find out:
    /// done here again and again, they would end one worker after the other.</param>
    /// <returns>The work's own result or <see cref="ShardFailed"/>; null when nobody waits for either.</returns>
    public async Task<object?> RunAsync(
        Guid jobId, int epoch, int unitNumber, int attempt, bool redelivered, Func<RunningUnit, Task<object>> work, CancellationToken shuttingDown)
    {
        using var unit = units.Start(jobId, epoch, unitNumber, attempt, shuttingDown);
        if (unit is null)
        {
            LogDropped(unitNumber, jobId, epoch);
            return null;
        }

        if (redelivered)
            return Failed(unit, new Failure(FailureCodes.WorkerLost, "The worker that had the unit was lost."), true, 0);
        try
        {
            await heartbeats.AnnounceAsync(unit, unit.Token);
            var result = await work(unit);
            LogFinished(unitNumber, jobId, unit.RowsDone, unit.Elapsed);
            return result;
        }
        catch (Exception e) when (unit.End == UnitEnd.Stopped)
        {
            LogStopped(unitNumber, jobId, e.GetType().Name);
            return null;
        }
        catch (Exception e) when (TransientError.IsOutage(e))
        {
            // The broker is away, and the order with it: it comes again, to whoever is there then.
            LogBrokerLost(unitNumber, jobId);
            throw;
        }
        catch (Exception) when (unit.End == UnitEnd.TooLong)
        {
            return Failed(unit, new Failure(FailureCodes.TooLong, $"The unit was not finished after {unit.Elapsed.TotalSeconds:0} s."), true, unit.RowsPerSecond);
        }
        catch (FailureException e)
        {
            // Values that the model cannot take are a row's fault: the ledger cuts the unit until it has found the row.
            return Failed(unit, e.Failure, e.IsTransient || e.Failure.Code == "scoring_failed", 0, e);
        }
        catch (DuckDbException e)
        {
            return Failed(unit, new Failure(e.Kind == DuckDbErrorKind.OutOfMemory ? "out_of_memory" : "duckdb_failed", e.Message.Split('\n')[0]), true, 0, e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return Failed(unit, new Failure("io_failed", e.Message), true, 0, e);
        }
        catch (Exception e) when (unit.End != UnitEnd.ShuttingDown)
        {
            return Failed(unit, new Failure("worker_failed", e.Message), true, 0, e);
        }
    }

    ShardFailed Failed(RunningUnit unit, Failure failure, bool retryable, double rowsPerSecond, Exception? cause = null)
    {
        BatchMetrics.FailedAs(failure.Code);
        LogFailed(unit.Unit, unit.JobId, failure.Code, failure.Message, cause);
        return new ShardFailed(unit.JobId, unit.Epoch, unit.Unit, unit.Attempt, unit.Execution, worker.Name, failure, retryable, rowsPerSecond);
    }
}
