// Bounds of a thread's variables: see thread_bounds.h.
//
// The check is in the kernel's code, which knows where the variables are. It covers accesses at a variable index to a
// variable that the optimiser left in memory; where it kept an array in registers, all indices were constants. An
// access inside of its variable, but outside of the member of a structure that it means, is not seen, nor is one
// through a pointer that may point to several variables.
#include "thread_bounds.h"

#include "llvm/Analysis/ValueTracking.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/MDBuilder.h"
#include "llvm/Transforms/Utils/BasicBlockUtils.h"

using namespace llvm;

namespace metalsim::instrument {

namespace {

/// The variable that an access at a variable index is meant for, or null.
AllocaInst* indexed_variable(const MemoryAccess& access, const DataLayout& layout) {
  auto* variable = dyn_cast<AllocaInst>(getUnderlyingObject(access.address(), 0));
  if (!variable || !variable->isStaticAlloca() || access.length) {
    return nullptr;
  }
  APInt offset(64, 0);
  const bool is_constant = access.address()->stripAndAccumulateConstantOffsets(layout, offset, true) == variable;
  return is_constant ? nullptr : variable;
}

} // namespace

void report_thread_bounds(const std::vector<MemoryAccess>& accesses, Module& module, SiteTable& sites) {
  LLVMContext& context = module.getContext();
  Type* number = Type::getInt64Ty(context);
  Type* pointer = PointerType::get(context, 0);
  FunctionCallee report = module.getOrInsertFunction("metalsim_thread_out_of_bounds", Type::getVoidTy(context), number,
                                                     number, number, pointer);
  MDNode* unlikely = MDBuilder(context).createUnlikelyBranchWeights();
  for (const MemoryAccess& access : accesses) {
    AllocaInst* variable = indexed_variable(access, module.getDataLayout());
    if (!variable) {
      continue;
    }
    const uint64_t variable_size = variable->getAllocationSize(module.getDataLayout())->getFixedValue();
    if (access.size > variable_size) {
      continue; // cannot be right, and the compiler says so
    }
    IRBuilder<> builder(access.instruction);
    Value* byte =
        builder.CreateSub(builder.CreatePtrToInt(access.address(), number), builder.CreatePtrToInt(variable, number));
    Value* is_outside = builder.CreateICmpUGT(byte, builder.getInt64(variable_size - access.size));
    // The stack also holds what the thread needs to go on.
    access.instruction->setOperand(access.operand, builder.CreateSelect(is_outside, variable, access.address()));
    Instruction* then = SplitBlockAndInsertIfThen(is_outside, access.instruction, false, unlikely);
    builder.SetInsertPoint(then);
    Constant* site = sites.add(*access.instruction, Origin(), access.flags);
    builder.CreateCall(report, {byte, builder.getInt64(access.size), builder.getInt64(variable_size), site})
        ->setDoesNotThrow();
  }
}

} // namespace metalsim::instrument
