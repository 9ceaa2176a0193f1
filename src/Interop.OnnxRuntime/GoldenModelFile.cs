namespace Interop.OnnxRuntime;

/// <summary>y = Relu(x · w + b) with x [N, 3] and values that binary fractions hold exactly, so that there is one right answer.</summary>
static class GoldenModelFile
{
    internal static byte[] Bytes { get; } = Convert.FromBase64String(
        "CAg6nQEKEQoBeAoBdxIBbSIGTWF0TXVsCg4KAW0KAWISAWEiA0FkZAoMCgFhEgF5IgRSZWx1EgZnb2xkZW4qIwgDCAIQAUIBd0oYAACAPwAAAMAAAAA/AABA" +
        "QAAAwL8AAIA+KhEIAhABQgFiSggAAAA+AACAv1oUCgF4Eg8KDQgBEgkKAxIBTgoCCANiFAoBeRIPCg0IARIJCgMSAU4KAggCQgIQEQ==");

    internal static ReadOnlySpan<float> Input => [1f, 2f, 3f, -4f, 5f, -6f];

    internal static ReadOnlySpan<float> Output => [0f, 3.75f, 7.625f, 20.5f];
}
