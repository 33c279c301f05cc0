// An LLVM pass plugin: the moves of matrix elements between Metal's lanes and mma's (device/tensor_product.h).
//
// A product's operands go to mma's lanes, and its result comes back. Where a result is the next product's summand, as
// in the chain of products that a dot product is, both moves cancel. Numbers that are the same in all lanes need no
// move. In the end the moves that are left become instructions.
#include "llvm/IR/InlineAsm.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/Instructions.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/PassManager.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Passes/PassPlugin.h"

using namespace llvm;

namespace {

constexpr StringLiteral kToMma = "metalsim_cuda_to_mma";          ///< float(float, source lane)
constexpr StringLiteral kToMetal = "metalsim_cuda_to_metal";      ///< float(float, source lane)
constexpr StringLiteral kOperand = "metalsim_cuda_operand";       ///< i32(i32, source lane): never comes back
constexpr StringLiteral kTransposed = "metalsim_cuda_transposed"; ///< i32(i32): movmatrix

StringRef called(const Value* value) {
  const auto* call = dyn_cast<CallInst>(value);
  const Function* function = call ? call->getCalledFunction() : nullptr;
  return function ? function->getName() : StringRef();
}

bool is_move(StringRef name) {
  return name == kToMma || name == kToMetal || name == kOperand || name == kTransposed;
}

/// Moves depend on nothing but their operands. Those to mma's lanes are used by mma alone, which is convergent, so that
/// they cannot end up in code that only some lanes reach, even if they may be moved; a result's stays convergent.
struct DescribeMoves : PassInfoMixin<DescribeMoves> {
  static bool isRequired() { return true; }
  PreservedAnalyses run(Module& module, ModuleAnalysisManager&) {
    for (Function& function : module) {
      if (!is_move(function.getName())) {
        continue;
      }
      function.setDoesNotAccessMemory();
      function.setDoesNotThrow();
      function.setWillReturn();
      if (function.getName() != kToMetal) {
        function.removeFnAttr(Attribute::Convergent);
        function.addFnAttr(Attribute::NoSync);
        function.addFnAttr(Attribute::Speculatable);
      }
      for (User* user : function.users()) {
        auto* call = dyn_cast<CallInst>(user);
        if (call && function.getName() != kToMetal) {
          call->removeFnAttr(Attribute::Convergent);
        }
      }
    }
    return PreservedAnalyses::none();
  }
};

/// Takes out moves that cancel, and those of constants.
bool cancel(Function& function) {
  bool has_changed = false;
  for (Instruction& instruction : make_early_inc_range(instructions(function))) {
    const StringRef name = called(&instruction);
    if (!is_move(name)) {
      continue;
    }
    Value* operand = cast<CallInst>(instruction).getArgOperand(0);
    const StringRef before = called(operand);
    Value* known = nullptr;
    if (isa<Constant>(operand) && name != kTransposed) {
      known = operand;
    } else if ((name == kToMma && before == kToMetal) || (name == kToMetal && before == kToMma)) {
      known = cast<CallInst>(operand)->getArgOperand(0);
    }
    if (known) {
      instruction.replaceAllUsesWith(known);
      instruction.eraseFromParent();
      has_changed = true;
    }
  }
  return has_changed;
}

struct CancelMoves : PassInfoMixin<CancelMoves> {
  PreservedAnalyses run(Function& function, FunctionAnalysisManager&) {
    if (!cancel(function)) {
      return PreservedAnalyses::all();
    }
    PreservedAnalyses preserved;
    preserved.preserveSet<CFGAnalyses>();
    return preserved;
  }
};

/// Makes instructions of the moves that are left.
struct LowerMoves : PassInfoMixin<LowerMoves> {
  static bool isRequired() { return true; }
  PreservedAnalyses run(Module& module, ModuleAnalysisManager&) {
    for (Function& function : module) {
      cancel(function);
      for (Instruction& instruction : make_early_inc_range(instructions(function))) {
        if (is_move(called(&instruction))) {
          lower(cast<CallInst>(instruction));
        }
      }
    }
    return PreservedAnalyses::none();
  }

private:
  static void lower(CallInst& call) {
    IRBuilder<> builder(&call);
    Type* word = builder.getInt32Ty();
    const bool is_transposed = called(&call) == kTransposed;
    SmallVector<Value*, 2> operands = {builder.CreateBitCast(call.getArgOperand(0), word)};
    if (!is_transposed) {
      operands.push_back(call.getArgOperand(1));
    }
    SmallVector<Type*, 2> types(operands.size(), word);
    const StringRef text = is_transposed ? "movmatrix.sync.aligned.m8n8.trans.b16 $0, $1;"
                                         : "shfl.sync.idx.b32 $0, $1, $2, 31, 0xffffffff;";
    InlineAsm* instruction =
        InlineAsm::get(FunctionType::get(word, types, false), text, is_transposed ? "=r,r" : "=r,r,r", false);
    CallInst* result = builder.CreateCall(instruction, operands);
    result->setConvergent();
    result->setDoesNotAccessMemory();
    result->setDoesNotThrow();
    call.replaceAllUsesWith(builder.CreateBitCast(result, call.getType()));
    call.eraseFromParent();
  }
};

} // namespace

extern "C" LLVM_ATTRIBUTE_WEAK PassPluginLibraryInfo llvmGetPassPluginInfo() {
  return {LLVM_PLUGIN_API_VERSION, "metalsim-cuda-layouts", "1", [](PassBuilder& builder) {
            builder.registerPipelineStartEPCallback(
                [](ModulePassManager& passes, OptimizationLevel) { passes.addPass(DescribeMoves()); });
            builder.registerPeepholeEPCallback(
                [](FunctionPassManager& passes, OptimizationLevel) { passes.addPass(CancelMoves()); });
            builder.registerOptimizerLastEPCallback(
                [](ModulePassManager& passes, OptimizationLevel) { passes.addPass(LowerMoves()); });
          }};
}
