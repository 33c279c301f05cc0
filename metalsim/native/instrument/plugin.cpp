// LLVM pass plugin for kernels.
//
// Instrumented builds need the plugin twice, as -fplugin for its option and as -fpass-plugin for its passes:
//   clang++ ... -fpass-plugin=instrument.so                                                              (all others)
//   clang++ ... -fplugin=instrument.so -fpass-plugin=instrument.so -mllvm -metalsim-instrument           (instrumented)
#include "passes.h"

#include "llvm/Passes/PassBuilder.h"
#include "llvm/Passes/PassPlugin.h"
#include "llvm/Support/CommandLine.h"

using namespace llvm;
using namespace metalsim::instrument;

namespace {

cl::opt<bool> instrumented("metalsim-instrument",
                           cl::desc("Report memory accesses, uninitialised reads and operations"));

bool add_by_name(StringRef name, ModulePassManager& passes, ArrayRef<PassBuilder::PipelineElement>) {
  if (name == "metalsim-reflect") {
    passes.addPass(ReflectPass());
  } else if (name == "metalsim-fill") {
    passes.addPass(FillPass());
  } else if (name == "metalsim-mark") {
    passes.addPass(MarkPass());
  } else if (name == "metalsim-instrument") {
    passes.addPass(InstrumentPass());
  } else {
    return false;
  }
  return true;
}

void add_at_start(ModulePassManager& passes, OptimizationLevel) {
  if (instrumented) {
    passes.addPass(MarkPass());
  } else {
    passes.addPass(FillPass());
  }
}

void add_at_end(ModulePassManager& passes, OptimizationLevel) {
  passes.addPass(ReflectPass());
  if (instrumented) {
    passes.addPass(InstrumentPass());
  }
}

void register_passes(PassBuilder& builder) {
  builder.registerPipelineStartEPCallback(add_at_start);
  builder.registerOptimizerLastEPCallback(add_at_end);
  builder.registerPipelineParsingCallback(add_by_name);
}

} // namespace

extern "C" LLVM_ATTRIBUTE_WEAK PassPluginLibraryInfo llvmGetPassPluginInfo() {
  return {LLVM_PLUGIN_API_VERSION, "metalsim", "1", register_passes};
}
