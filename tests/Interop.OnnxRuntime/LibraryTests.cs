using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Interop.OnnxRuntime.Tests;

[Collection("ONNX Runtime")]
public sealed class LibraryTests(OnnxRuntimeFixture runtime)
{
    [Fact]
    public void The_loaded_library_says_its_version_and_providers()
    {
        OnnxLibrary.Version.ShouldStartWith("1.");
        OnnxLibrary.Path.ShouldBe(OnnxRuntimeFixture.LibraryPath);
        OnnxLibrary.AvailableProviders.ShouldContain("CPUExecutionProvider");
    }

    [Fact]
    public void Loading_the_same_file_again_does_nothing() => OnnxLibrary.Load(OnnxRuntimeFixture.LibraryPath);

    [Fact]
    public void A_second_library_is_refused() =>
        Should.Throw<OnnxLibraryException>(() => OnnxLibrary.Load("/other/libonnxruntime.so")).Message.ShouldContain("already loaded from");

    [Fact]
    public void An_absent_library_is_named()
    {
        var error = Should.Throw<OnnxLibraryException>(() => OnnxLibrary.Open("/absent/libonnxruntime.so.1", 24, out _));
        error.Message.ShouldContain("/absent/libonnxruntime.so.1");
        error.Message.ShouldContain("onnxruntime-node");
    }

    [Fact]
    public void A_file_that_is_no_library_is_refused()
    {
        var path = Path.GetTempFileName();
        try
        {
            File.WriteAllText(path, "not a library");
            Should.Throw<OnnxLibraryException>(() => OnnxLibrary.Open(path, 24, out _)).Message.ShouldContain("cannot be loaded as a library");
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public void Another_library_is_refused()
    {
        var other = Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "libSystem.Native.so");
        Should.Throw<OnnxLibraryException>(() => OnnxLibrary.Open(other, 24, out _)).Message.ShouldContain("not ONNX Runtime");
    }

    [Fact]
    public void A_library_without_the_functions_needed_is_too_old() =>
        Should.Throw<OnnxLibraryException>(() => OnnxLibrary.Open(OnnxRuntimeFixture.LibraryPath, 9999, out _))
            .Message.ShouldContain($"ONNX Runtime {OnnxLibrary.Version}, which is too old");

    [Fact]
    public void Log_messages_come_to_the_listener_and_not_to_standard_error()
    {
        runtime.Log.Clear();
        using var verbose = new OnnxEnvironment(OnnxLogSeverity.Info, runtime.Log.Enqueue);
        using var session = runtime.Open("ort_types_float", new OnnxSessionOptions { LogSeverity = OnnxLogSeverity.Info });
        runtime.Log.ShouldNotBeEmpty();
        runtime.Log.ShouldAllBe(message => !message.Text.Contains('\u001b', StringComparison.Ordinal));
        using var calm = new OnnxEnvironment(OnnxLogSeverity.Warning);
    }

    [Fact]
    public async Task Child_processes_do_not_inherit_the_locale_folder()
    {
        using var child = Process.Start(new ProcessStartInfo("/usr/bin/env") { RedirectStandardOutput = true })!;
        var variables = await child.StandardOutput.ReadToEndAsync();
        await child.WaitForExitAsync();
        variables.ShouldNotContain("LOCPATH=");
    }
}
