"""The headers in metalsim/apple/frameworks agree with Apple's, as pyobjc's published metadata describes them."""

import shutil
from pathlib import Path

import pytest

from metalsim.macos import header_check, metadata, packages, sdk
from metalsim.macos.declarations import Declarations, normalised


@pytest.fixture(scope="module")
def apples() -> Declarations:
    try:
        return metadata.read()
    except packages.PackageUnavailableError as error:
        pytest.skip(str(error))


def test_headers_agree_with_apples(apples: Declarations) -> None:
    ours = header_check.our_declarations()
    assert list(header_check.differences(ours, apples)) == []
    # What is compared is what the headers declare: an empty description would agree with anything.
    assert len(ours.owners) > 60
    assert len(ours.methods) > 550
    assert len(ours.constants) > 200
    assert len(ours.structs) >= 9
    for owner, sign, selector in (("MTLDevice", "-", "newBufferWithLength:options:"), ("NSString", "+", "string")):
        assert (owner, sign, selector) in ours.methods


def test_every_exception_is_needed(apples: Declarations) -> None:
    ours = header_check.our_declarations()
    declared = {*ours.typedefs, *ours.variables}
    described = {*apples.typedefs, *apples.variables}
    for name, reason in header_check.NOT_DESCRIBED.items():
        assert name in declared, f"{name} is no longer declared: {reason}"
        assert name not in described, f"the metadata has {name} by now"


#: File, text, mistake, and the sentence that it must lead to.
MISTAKES = {
    "selector": (
        "Metal/MTLComputeCommandEncoder.h",
        "setThreadgroupMemoryLength:",
        "setThreadgroupMemorySize:",
        "-[MTLComputeCommandEncoder setThreadgroupMemorySize:atIndex:] is not there with Apple",
    ),
    "argument": (
        "Metal/MTLHeap.h",
        "maxAvailableSizeWithAlignment:(NSUInteger)",
        "maxAvailableSizeWithAlignment:(uint32_t)",
        "-[MTLHeap maxAvailableSizeWithAlignment:]: argument 1 is uint32_t, Apple's NSUInteger",
    ),
    "result": (
        "Metal/MTLDevice.h",
        "@property(readonly) NSUInteger maxBufferLength",
        "@property(readonly) NSInteger maxBufferLength",
        "-[MTLDevice maxBufferLength]: result is NSInteger, Apple's NSUInteger",
    ),
    "availability": (
        "Metal/MTLLibrary.h",
        "MTLMathMode mathMode API_AVAILABLE(macos(15.0)",
        "MTLMathMode mathMode API_AVAILABLE(macos(14.0)",
        "-[MTLCompileOptions mathMode]: Availability(introduced='14.0', deprecated=None), "
        "Apple's Availability(introduced='15.0', deprecated=None)",
    ),
    "deprecation": (
        "Metal/MTLDevice.h",
        'instead", macos(10.11, 13.0)',
        'instead", macos(10.11, 15.0)',
        "-[MTLDevice newLibraryWithFile:error:]: Availability(introduced='10.11', deprecated='15.0'), "
        "Apple's Availability(introduced='10.11', deprecated='13.0')",
    ),
    "class method": (
        "MetalPerformanceShaders/MPSCommandBuffer.h",
        "+ (instancetype)commandBufferFromCommandQueue",
        "- (instancetype)commandBufferFromCommandQueue",
        "-[MPSCommandBuffer commandBufferFromCommandQueue:] is not there with Apple",
    ),
    "enumerator": (
        "Metal/MTLDevice.h",
        "MTLGPUFamilyMac2 = 2002",
        "MTLGPUFamilyMac2 = 2003",
        "enumerator MTLGPUFamilyMac2 is ('MTLGPUFamily', 2003), Apple's ('MTLGPUFamily', 2002)",
    ),
    "enumerator that counts on": (
        "Metal/MTLComputePass.h",
        "MTLDispatchTypeSerial,",
        "MTLDispatchTypeSerial = 1,",
        "enumerator MTLDispatchTypeConcurrent is ('MTLDispatchType', 2), Apple's ('MTLDispatchType', 1)",
    ),
    "underlying type": (
        "MetalPerformanceShaders/MPSCoreTypes.h",
        "NS_ENUM(uint32_t, MPSDataType)",
        "NS_ENUM(NSUInteger, MPSDataType)",
        "enumeration MPSDataType is Q, Apple's I",
    ),
    "struct": (
        "Metal/MTLDevice.h",
        "  NSUInteger size;\n  NSUInteger align;",
        "  NSUInteger align;\n  NSUInteger size;",
        "struct MTLSizeAndAlign is (('align', 'size'), 'QQ'), Apple's (('size', 'align'), 'QQ')",
    ),
    "typedef": (
        "Metal/MTLTypes.h",
        "typedef uint64_t MTLTimestamp;",
        "typedef uint32_t MTLTimestamp;",
        "typedef MTLTimestamp is uint32_t, Apple's uint64_t",
    ),
    "base": (
        "MetalPerformanceShadersGraph/MetalPerformanceShadersGraph.h",
        "@interface MPSGraphTensorData : MPSGraphObject",
        "@interface MPSGraphTensorData : MPSGraphObject<NSCopying>",
        "MPSGraphTensorData is no NSCopying with Apple",
    ),
    "superclass": (
        "MetalPerformanceShadersGraph/MetalPerformanceShadersGraph.h",
        "@interface MPSGraph : MPSGraphObject",
        "@interface MPSGraph : MPSKernel",
        "MPSGraph is no MPSKernel with Apple",
    ),
    "class": (
        "MetalPerformanceShaders/MPSNDArray.h",
        "@interface MPSNDArrayUnaryKernel :",
        "@interface MPSNDArrayOneKernel :",
        "MPSNDArrayOneKernel is no class of Apple's",
    ),
    "function": (
        "MetalPerformanceShaders/MPSKernel.h",
        "MPSSupportsMTLDevice(id<MTLDevice>",
        "MPSSupportsDevice(id<MTLDevice>",
        "MPSSupportsDevice is no function of Apple's",
    ),
}


@pytest.mark.parametrize("kind", MISTAKES)
def test_mistake_in_a_header_is_found(kind: str, apples: Declarations, tmp_path: Path) -> None:
    file, old, new, sentence = MISTAKES[kind]
    frameworks = tmp_path / "frameworks"
    shutil.copytree(sdk.FRAMEWORKS, frameworks)
    text = (frameworks / file).read_text()
    assert text.count(old) == 1
    (frameworks / file).write_text(text.replace(old, new))
    found = list(header_check.differences(header_check.our_declarations(frameworks), apples))
    assert sentence in found


def test_types_are_compared_without_what_does_not_matter() -> None:
    assert normalised("id<MTLBuffer>  _Nullable __strong") == normalised("id<MTLBuffer>")
    assert normalised("NSError * _Nullable __autoreleasing * _Nullable") == "NSError**"
    assert normalised("const void * _Nonnull") == "const void*"
    assert normalised("NSUInteger") != normalised("NSInteger")
