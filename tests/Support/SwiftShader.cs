using System.Formats.Tar;
using System.IO.Compression;

namespace Support;

/// <summary>A Vulkan device that computes on the CPU, with which code for GPUs runs where there is none. Slow.</summary>
public sealed class SwiftShader : IDisposable
{
    const string Package = "node_modules/@sparticuz/chromium/bin/swiftshader.tar.br";

    readonly TestFolder _folder = new();

    public SwiftShader()
    {
        using var packed = File.OpenRead(Find());
        using var unpacked = new BrotliStream(packed, CompressionMode.Decompress);
        TarFile.ExtractToDirectory(unpacked, _folder.Path, overwriteFiles: true);
    }

    /// <summary>Environment of a process that is to see the device and no other.</summary>
    public IReadOnlyDictionary<string, string> Environment => new Dictionary<string, string>
    {
        ["LD_LIBRARY_PATH"] = _folder.Path,
        ["VK_ICD_FILENAMES"] = _folder["vk_swiftshader_icd.json"],
    };

    public void Dispose() => _folder.Dispose();

    static string Find()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            var path = Path.Combine(folder.FullName, Package);
            if (File.Exists(path))
                return path;
        }
        throw new FileNotFoundException($"There is no {Package} above the tests: run eng/test.sh, or `npm ci --ignore-scripts` in the clone's root.");
    }
}
