namespace EndToEnd;

/// <summary>One group of processes for all tests of the collection: two of what competes for messages.</summary>
public sealed class ProcessGroupFixture : IAsyncLifetime
{
    ProcessGroup? _group;

    public ProcessGroup Group => _group!;

    public async Task InitializeAsync() => _group = await ProcessGroup.StartAsync(new ProcessGroupLaunch(Apis: 2, Consumers: 2, Workers: 2));

    public async Task DisposeAsync()
    {
        if (_group is not null)
            await _group.DisposeAsync();
    }
}

[CollectionDefinition(Name)]
public sealed class ProcessGroups : ICollectionFixture<ProcessGroupFixture>
{
    public const string Name = "processes";
}
