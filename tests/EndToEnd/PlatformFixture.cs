using Support;

namespace EndToEnd;

/// <summary>One platform for all tests of the collection, in a process of its own and used over HTTP alone.</summary>
public sealed class PlatformFixture : IAsyncLifetime
{
    readonly TestFolder _folder = new();
    Platform? _platform;

    public HttpClient Http => Platform.Http;

    public Platform Platform => _platform!;

    public TestFolder Folder => _folder;

    /// <summary>The sample models and tables of the clone.</summary>
    public static string Samples { get; } = FindSamples();

    public async Task InitializeAsync() => _platform = await Platform.StartAsync(new StandaloneLaunch(_folder["data"]));

    public async Task DisposeAsync()
    {
        if (_platform is not null)
            await _platform.DisposeAsync();
        _folder.Dispose();
    }

    static string FindSamples()
    {
        var folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "Sagas.sln")))
            folder = Path.GetDirectoryName(folder) ?? throw new DirectoryNotFoundException("No clone of the repository above the tests.");
        return Path.Combine(folder, "samples");
    }
}

[CollectionDefinition(Name)]
public sealed class PlatformGroup : ICollectionFixture<PlatformFixture>
{
    public const string Name = "platform";
}
