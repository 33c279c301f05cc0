"""Mistakes of the kind that a machine without a Mac lets pass: each is planted in a copy of the sources and must be found."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mistake:
    """A change to the sources.

    Attributes:
        name: what is wrong.
        file: where it is planted.
        old: the text that it takes the place of.
        new: the mistake.
        message: what the check must say of it, a regular expression.
    """

    name: str
    file: str
    old: str
    new: str
    message: str


LAUNCH = "csrc/mps/launch.mm"
PIPELINES = "csrc/mps/pipelines.mm"
RUN = "    run_on_queue(stream->queue(), ^{"

MISTAKES = (
    Mistake(
        "misspelled selector",
        LAUNCH,
        "[encoder setComputePipelineState:pipeline]",
        "[encoder setComputePipeline:pipeline]",
        r"instance method 'setComputePipeline:' not found|no known instance method",
    ),
    Mistake(
        "misspelled part of a selector",
        LAUNCH,
        "offset:byte_offset(tensor) atIndex:index]",
        "offset:byte_offset(tensor) index:index]",
        r"no visible @interface|'setBuffer:offset:index:' not found|no known instance method",
    ),
    Mistake(
        "arguments in the wrong order",
        LAUNCH,
        "setBytes:dispatch.params().data() length:dispatch.params().size() atIndex",
        "setBytes:dispatch.params().size() length:dispatch.params().data() atIndex",
        r"cannot initialize a parameter of type 'const void \* _Nonnull'",
    ),
    Mistake(
        "argument of another type",
        LAUNCH,
        "threadsPerThreadgroup:metal_size({dispatch.launch().threads, 1, 1})",
        "threadsPerThreadgroup:dispatch.launch().threads",
        r"no viable conversion from 'const int64_t'.* to 'MTLSize'",
    ),
    Mistake(
        "object of another protocol",
        LAUNCH,
        "void encode_part(id<MTLComputeCommandEncoder> encoder",
        "void encode_part(id<MTLCommandEncoder> encoder",
        r"'setComputePipelineState:' not found|no known instance method for selector 'setComputePipelineState:'",
    ),
    Mistake(
        "misspelled property",
        PIPELINES,
        "error.localizedDescription.UTF8String",
        "error.localisedDescription.UTF8String",
        r"property 'localisedDescription' not found on object of type 'NSError \*",
    ),
    Mistake(
        "enumerator that does not exist",
        PIPELINES,
        "type:MTLDataTypeUInt atIndex",
        "type:MTLDataTypeUInt32 atIndex",
        r"use of undeclared identifier 'MTLDataTypeUInt32'",
    ),
    Mistake(
        "enumerator of another enumeration",
        PIPELINES,
        "options.languageVersion = MTLLanguageVersion3_1;",
        "options.languageVersion = MTLDataTypeUInt;",
        r"assigning to 'MTLLanguageVersion' from incompatible type 'MTLDataType'|cannot .*MTLLanguageVersion",
    ),
    Mistake(
        "class that does not exist",
        PIPELINES,
        "owned_by_pool([[MTLFunctionConstantValues alloc] init])",
        "owned_by_pool([[MTLFunctionConstants alloc] init])",
        r"use of undeclared identifier 'MTLFunctionConstants'",
    ),
    Mistake(
        "object of another class",
        PIPELINES,
        "NSMutableDictionary<NSString*, NSObject*>* const macros = [NSMutableDictionary dictionary];",
        "NSMutableArray* const macros = [NSMutableDictionary dictionary];",
        r"cannot initialize a variable of type 'NSMutableArray",
    ),
    Mistake(
        "API newer than macOS 14",
        PIPELINES,
        "if (@available(macOS 15.0, *)) {",
        "if (kernel.macros.empty()) {",
        r"'(setMathMode:|mathMode|MTLMathModeSafe)' is only available on macOS 15\.0 or newer",
    ),
    Mistake(
        "API newer than what @available asks for",
        PIPELINES,
        "@available(macOS 15.0, *)",
        "@available(macOS 14.4, *)",
        r"is only available on macOS 15\.0 or newer",
    ),
    Mistake(
        "deprecated API",
        PIPELINES,
        "const id<MTLLibrary> library = owned_by_pool([device newLibraryWithSource",
        "(void)[device newLibraryWithFile:text(kernel.file) error:&error];\n"
        "const id<MTLLibrary> library = owned_by_pool([device newLibraryWithSource",
        r"'newLibraryWithFile:error:' is deprecated: first deprecated in macOS 13\.0",
    ),
    Mistake(
        "pointer taken for an object without a bridge",
        "csrc/mps/operands.h",
        "(__bridge id<MTLBuffer>)tensor.storage().data()",
        "(id<MTLBuffer>)tensor.storage().data()",
        r"requires a bridged cast",
    ),
    Mistake(
        "method that torch's class does not have",
        LAUNCH,
        "device->getCoreCount()",
        "device->coreCount()",
        r"no member named 'coreCount' in 'at::mps::MPSDevice'",
    ),
    Mistake(
        "method that torch no longer has",
        LAUNCH,
        RUN,
        "    stream->fill(nil, 0, 0, 0);\n" + RUN,
        r"no member named 'fill' in 'at::mps::MPSStream'",
    ),
    Mistake(
        "function that torch does not export",
        "csrc/mps/forward.cpp",
        "namespace fused_attn::mps {\nnamespace {",
        "namespace at::mps {\nvoid wait_for_everything();\n}\n"
        "namespace fused_attn::mps {\nauto* waits = &at::mps::wait_for_everything;\nnamespace {",
        r"undefined symbol: at::mps::wait_for_everything\(\)",
    ),
    Mistake(
        "function that another version of torch exports",
        LAUNCH,
        "namespace fused_attn::mps {\nnamespace {",
        "namespace at::native::mps {\nvoid dispatch_sync_with_rethrow(dispatch_queue_t queue, void (^block)());\n}\n"
        "namespace fused_attn::mps {\nauto* rethrows = &at::native::mps::dispatch_sync_with_rethrow;\nnamespace {",
        r"undefined symbol: at::native::mps::dispatch_sync_with_rethrow\(",
    ),
    Mistake(
        "function of torch with another argument type",
        LAUNCH,
        "namespace fused_attn::mps {\nnamespace {",
        "namespace at::mps {\nbool is_apple_family_or_newer(long family);\n}\n"
        "namespace fused_attn::mps {\nbool (*asks)(long) = &at::mps::is_apple_family_or_newer;\nnamespace {",
        r"undefined symbol: at::mps::is_apple_family_or_newer\(long\)",
    ),
    Mistake(
        "function that Apple does not have",
        LAUNCH,
        "namespace fused_attn::mps {\nnamespace {",
        'extern "C" void MTLReleaseEverything();\n'
        "namespace fused_attn::mps {\nauto* releases = &MTLReleaseEverything;\nnamespace {",
        r"undefined symbol: MTLReleaseEverything",
    ),
    Mistake(
        "function of Linux's C library",
        "csrc/mps/source.cpp",
        "namespace fused_attn::mps {\nnamespace {",
        'extern "C" char* secure_getenv(const char*);\n'
        "namespace fused_attn::mps {\nauto* reads = &secure_getenv;\nnamespace {",
        r"undefined symbol: secure_getenv",
    ),
    Mistake(
        "function that Python does not have",
        "csrc/python_module.cpp",
        "namespace {\n\nusing namespace fused_attn;",
        'extern "C" int PyModule_AddEverything(PyObject*);\nauto* adds = &PyModule_AddEverything;\n'
        "namespace {\n\nusing namespace fused_attn;",
        r"undefined symbol: PyModule_AddEverything",
    ),
    Mistake(
        "missing include",
        "csrc/mps/source.cpp",
        "#include <fstream>\n",
        "",
        r"'std::ifstream'|implicit instantiation of undefined template 'std::basic_ifstream|'basic_ifstream<char>'",
    ),
    Mistake(
        "framework that is not linked",
        "setup.py",
        'link_args += ["-framework", "Foundation", "-framework", "Metal"]',
        'link_args += ["-framework", "Foundation"]',
        r"undefined symbol: OBJC_CLASS_\$_MTL",
    ),
    Mistake(
        "macOS that is too old",
        "setup.py",
        'os.environ["MACOSX_DEPLOYMENT_TARGET"] = "14.0"',
        'os.environ["MACOSX_DEPLOYMENT_TARGET"] = "13.0"',
        r"setup\.py builds for macOS 13\.0, not 14\.0",
    ),
    Mistake(
        "macOS that is too new",
        "setup.py",
        'os.environ["MACOSX_DEPLOYMENT_TARGET"] = "14.0"',
        'os.environ["MACOSX_DEPLOYMENT_TARGET"] = "15.0"',
        r"setup\.py builds for macOS 15\.0, not 14\.0",
    ),
    Mistake(
        "no way to torch's libraries",
        "setup.py",
        'link_args += ["-Wl,-rpath,@loader_path/../torch/lib"]',
        'link_args += ["-Wl,-rpath,@loader_path/torch/lib"]',
        r"looks for torch's libraries in \['@loader_path/torch/lib'\]",
    ),
)
