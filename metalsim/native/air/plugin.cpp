// The LLVM pass `metalsim-air-lower`: one AIR module in, a module for the host out.
//
//   opt -load-pass-plugin=air.so -metalsim-air-intrinsics=intrinsics.bc -metalsim-air-constant=200=1
//       -passes=metalsim-air-lower,always-inline kernel.bc -o lowered.bc
//
// `always-inline` must follow at once: AIR's call sites claim that intrinsics touch no memory, which no other pass may
// rely on, and the runtime tells collectives apart by their call sites, which must be those of the kernel.

#include "lowering.h"

#include "llvm/Passes/PassBuilder.h"
#include "llvm/Passes/PassPlugin.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/ErrorHandling.h"

using namespace llvm;

namespace {

cl::opt<std::string> intrinsics_path("metalsim-air-intrinsics", cl::desc("bitcode that implements AIR's intrinsics"));
cl::list<std::string> constant_options("metalsim-air-constant",
                                       cl::desc("INDEX=VALUE: the value of a function constant"));

metalsim::air::Constants parse_constants() {
  metalsim::air::Constants constants;
  for (const std::string& option : constant_options) {
    auto [index_text, value] = StringRef(option).split('=');
    unsigned index = 0;
    if (index_text.getAsInteger(10, index)) {
      metalsim::air::refuse("'" + option + "' is not INDEX=VALUE");
    }
    constants[index] = value.str();
  }
  return constants;
}

/// Attributes of AIR functions that are wrong for the host, or that would be once intrinsics are real code.
void remove_foreign_attributes(Module& module) {
  if (GlobalVariable* used = module.getNamedGlobal("llvm.compiler.used")) {
    used->eraseFromParent();
  }
  for (Function& function : module) {
    for (const char* attribute : {"frame-pointer", "no-builtins", "min-legal-vector-width"}) {
      function.removeFnAttr(attribute);
    }
    if (!function.isIntrinsic()) {
      function.removeFnAttr(Attribute::Memory);
    }
  }
  for (GlobalVariable& variable : module.globals()) {
    variable.setSection("");
  }
}

struct LowerPass : PassInfoMixin<LowerPass> {
  PreservedAnalyses run(Module& module, ModuleAnalysisManager&) {
    module.setTargetTriple("x86_64-pc-linux-gnu");
    module.setDataLayout("e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128");
    metalsim::air::define_function_constants(module, parse_constants());
    remove_foreign_attributes(module);
    metalsim::air::lower_threadgroup_variables(module);
    metalsim::air::lower_matrices(module);
    metalsim::air::lower_conversions(module);
    metalsim::air::export_kernel(module);
    metalsim::air::link_intrinsics(module, intrinsics_path);
    return PreservedAnalyses::none();
  }
  static bool isRequired() { return true; }
};

void register_pass(PassBuilder& builder) {
  builder.registerPipelineParsingCallback(
      [](StringRef name, ModulePassManager& manager, ArrayRef<PassBuilder::PipelineElement>) {
        if (name != "metalsim-air-lower") {
          return false;
        }
        manager.addPass(LowerPass());
        return true;
      });
}

} // namespace

void metalsim::air::refuse(const Twine& message) {
  report_fatal_error(message, /*gen_crash_diag=*/false);
}

extern "C" LLVM_ATTRIBUTE_WEAK PassPluginLibraryInfo llvmGetPassPluginInfo() {
  return {LLVM_PLUGIN_API_VERSION, "metalsim-air", "1", register_pass};
}
