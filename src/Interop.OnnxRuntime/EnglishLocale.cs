using System.Runtime.InteropServices;

namespace Interop.OnnxRuntime;

/// <summary>
/// The operator StringNormalizer asks glibc for the locale en_US.UTF-8 even where it does not need it, and minimal systems and
/// containers have only C.UTF-8, whose upper and lower case of letters are the same: there it stands in under the other name.
/// </summary>
static partial class EnglishLocale
{
    const string Name = "en_US.UTF-8";
    const string StandIn = "/usr/lib/locale/C.utf8";
    const string SearchPath = "LOCPATH";
    const int AllCategories = 1 << 6;

    internal static void Ensure()
    {
        if (!OperatingSystem.IsLinux() || Exists() || !Directory.Exists(StandIn) || Environment.GetEnvironmentVariable(SearchPath) is not null)
            return;
        // .NET takes its copy of the variables now, so that child processes do not inherit ours.
        _ = Environment.GetEnvironmentVariables();
        var folder = Directory.CreateTempSubdirectory("locale-");
        try
        {
            Directory.CreateSymbolicLink(Path.Combine(folder.FullName, Name), StandIn);
            // Only a native variable reaches glibc.
            if (setenv(SearchPath, folder.FullName, overwrite: 0) == 0)
                Exists();
        }
        finally
        {
            // glibc never lets go of a locale it has loaded, so the folder has served.
            folder.Delete(recursive: true);
        }
    }

    // The locale is not freed: it stays loaded for the process.
    static bool Exists() => newlocale(AllCategories, Name, 0) != 0;

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial nint newlocale(int categories, string name, nint basis);

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int setenv(string name, string value, int overwrite);
}
