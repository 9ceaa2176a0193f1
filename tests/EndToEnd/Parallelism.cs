// Each test loads the machine as a whole, and some measure time.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
