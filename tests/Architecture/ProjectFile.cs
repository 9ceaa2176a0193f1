using System.Xml.Linq;

namespace Architecture.Tests;

/// <param name="Projects">Names of the projects it references itself.</param>
/// <param name="Packages">Names of the packages it references itself.</param>
sealed record ProjectFile(string Name, IReadOnlyList<string> Projects, IReadOnlyList<string> Packages)
{
    public static ProjectFile Read(string path)
    {
        var project = XDocument.Load(path);
        return new ProjectFile(Path.GetFileNameWithoutExtension(path), [.. Includes("ProjectReference").Select(NameOf)], [.. Includes("PackageReference")]);

        IEnumerable<string> Includes(string item) => project.Descendants(item).Select(e => e.Attribute("Include")!.Value);

        static string NameOf(string reference) => Path.GetFileNameWithoutExtension(reference.Replace('\\', '/'));
    }
}
