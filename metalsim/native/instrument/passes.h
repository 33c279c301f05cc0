// The passes of this plugin, in the order in which they run.
//
// All kernels: `metalsim-fill` before the optimiser and `metalsim-reflect` at its end. Instrumented kernels (-mllvm
// -metalsim-instrument): `metalsim-mark` before, `metalsim-reflect` and then `metalsim-instrument` at the end.
#pragma once

#include "llvm/IR/Constants.h"
#include "llvm/IR/PassManager.h"

namespace metalsim::instrument {

/// Fills in what abi::Kernel says of used buffers and threadgroup memory.
struct ReflectPass : llvm::PassInfoMixin<ReflectPass> {
  llvm::PreservedAnalyses run(llvm::Module& module, llvm::ModuleAnalysisManager& analyses);
  static bool isRequired() { return true; }
};

/// Gives every variable of a thread a value that shows in results: see mark.cpp.
struct FillPass : llvm::PassInfoMixin<FillPass> {
  llvm::PreservedAnalyses run(llvm::Module& module, llvm::ModuleAnalysisManager& analyses);
  static bool isRequired() { return true; }
};

/// Gives every variable of a thread a value that the optimiser knows nothing about: see mark.cpp.
struct MarkPass : llvm::PassInfoMixin<MarkPass> {
  llvm::PreservedAnalyses run(llvm::Module& module, llvm::ModuleAnalysisManager& analyses);
  static bool isRequired() { return true; }
};

/// Adds the calls that report accesses and uninitialised reads, and the counters of operations.
struct InstrumentPass : llvm::PassInfoMixin<InstrumentPass> {
  llvm::PreservedAnalyses run(llvm::Module& module, llvm::ModuleAnalysisManager& analyses);
  static bool isRequired() { return true; }
};

/// What MarkPass calls the functions whose results are uninitialised; the argument is a text that names the variable.
inline constexpr char kUninitializedPrefix[] = "metalsim_uninitialized.";

/// What is read from a variable that was never written: all bits set, which is a NaN as a number of any floating-point
/// type.
llvm::Constant* visible_value(llvm::Type* type);

} // namespace metalsim::instrument
