// Counters are the process's.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
