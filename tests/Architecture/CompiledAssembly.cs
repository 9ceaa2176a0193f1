using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;

namespace Architecture.Tests;

/// <summary>One type uses another: as base, in a signature, an attribute or a method's body. Nested types stand for the one around them.</summary>
sealed record TypeUse(string User, string Used);

/// <summary>What the compiler wrote, read without loading it.</summary>
/// <param name="References">Names of the assemblies it references.</param>
sealed record CompiledAssembly(string Name, IReadOnlyList<string> References, IReadOnlyList<TypeUse> Uses)
{
    public static CompiledAssembly Read(string path)
    {
        using var file = new PEReader(File.OpenRead(path));
        var metadata = file.GetMetadataReader();
        var uses = new HashSet<TypeUse>();
        foreach (var handle in metadata.TypeDefinitions)
        {
            var found = new TypeUses(metadata);
            found.AddType(handle, file);
            var user = TypeNames.Of(metadata, handle);
            uses.UnionWith(found.Names.Where(used => used != user).Select(used => new TypeUse(user, used)));
        }

        return new CompiledAssembly(
            metadata.GetString(metadata.GetAssemblyDefinition().Name),
            [.. metadata.AssemblyReferences.Select(r => metadata.GetString(metadata.GetAssemblyReference(r).Name))],
            [.. uses]);
    }
}
