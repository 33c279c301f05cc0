"""The headers in metalsim/apple: torch's own, and host code's use of them."""

import subprocess
from pathlib import Path

import pytest

from metalsim import toolchain
from metalsim.mps import build

#: All of torch's headers that need Apple's.
TORCH_HEADERS = (
    *(f"ATen/mps/MPS{name}.h" for name in ("Stream", "Device", "AllocatorInterface", "Allocator", "Event")),
    *(f"ATen/mps/MPS{name}.h" for name in ("GuardImpl", "Hooks", "Profiler", "GeneratorImpl")),
    "ATen/mps/EmptyTensor.h",
    *(f"ATen/native/mps/{name}.h" for name in ("MetalShaderLibrary", "OperationUtils", "Copy", "TensorFactory")),
    "ATen/native/mps/MPSGraphSequoiaOps.h",
    "torch/mps.h",
)

APPLE_HEADERS = (
    *("Foundation/Foundation.h", "Metal/Metal.h", "MetalPerformanceShaders/MetalPerformanceShaders.h"),
    *("MetalPerformanceShadersGraph/MetalPerformanceShadersGraph.h", "dispatch/dispatch.h", "objc/runtime.h"),
    *("objc/message.h", "objc/objc-sync.h", "os/log.h", "os/signpost.h", "Block.h", "mach/mach_time.h"),
)

#: Types, values and availability as host code relies on them.
HOST_CODE = """
#import <Metal/Metal.h>

static_assert(sizeof(NSUInteger) == 8 && sizeof(MTLSize) == 24);
static_assert(MTLGPUFamilyApple9 == 1009 && MTLGPUFamilyMetal3 == 5001 && MTLDataTypeBFloat == 121);
static_assert(MTLLanguageVersion3_1 == 0x30001 && MTLLanguageVersion4_0 == 0x40000);
static_assert(MTLResourceStorageModePrivate == 32 && MTLResourceHazardTrackingModeUntracked == 256);

API_AVAILABLE(macos(15.0), ios(18.0)) void newer();
API_DEPRECATED("Use newer", macos(10.11, 15.0)) void older();

id<MTLComputePipelineState> pipeline(id<MTLDevice> device, NSString* source, NSError** error);

id<MTLComputePipelineState> pipeline(id<MTLDevice> device, NSString* source, NSError** error) {
  MTLCompileOptions* options = [[MTLCompileOptions alloc] init];
  options.languageVersion = MTLLanguageVersion3_1;
  if (@available(macOS 15.0, *)) {
    options.mathMode = MTLMathModeSafe;
  } else {
    options.fastMathEnabled = NO;
  }
  MTLResourceOptions storage = MTLResourceStorageModeShared | MTLResourceHazardTrackingModeTracked;
  storage |= MTLResourceCPUCacheModeWriteCombined;
  id<MTLBuffer> buffer = [device newBufferWithLength:16 options:storage];
  id<MTLResource> resource = buffer;
  id<MTLLibrary> library = [device newLibraryWithSource:source options:options error:error];
  id<MTLFunction> function = [library newFunctionWithName:@"kernel_name"];
  return resource == nil ? nil : [device newComputePipelineStateWithFunction:function error:error];
}
"""


def _check(text: str, folder: Path, *flags: str, torch: bool, arc: bool = False) -> None:
    source = folder / "headers.mm"
    source.write_text(text)
    command = build.compile_command(source, folder / "headers.o", torch=torch, arc=arc, flags=("-Werror", *flags))
    done = subprocess.run([*command, "-fsyntax-only"], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr


def test_torch_headers_compile(tmp_path: Path) -> None:
    _check("".join(f"#include <{name}>\n" for name in TORCH_HEADERS), tmp_path, torch=True)


@pytest.mark.parametrize("arc", [False, True], ids=["manual", "arc"])
def test_host_code_compiles(tmp_path: Path, arc: bool) -> None:
    _check(HOST_CODE, tmp_path, torch=False, arc=arc)


def test_headers_stand_alone(tmp_path: Path) -> None:
    for name in APPLE_HEADERS:
        _check(f"#include <{name}>\n", tmp_path, torch=False)


def test_foundation_and_dispatch_serve_cpp(tmp_path: Path) -> None:
    """Torch's headers include them from C++ without Objective-C."""
    source = tmp_path / "plain.cpp"
    source.write_text("#include <Foundation/Foundation.h>\n#include <dispatch/dispatch.h>\ndispatch_queue_t queue;\n")
    toolchain.run(build.compile_command(source, tmp_path / "plain.o", torch=False, flags=["-Werror"]), "compiling")
