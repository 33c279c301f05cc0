// Reports of uninitialised reads: see uninitialized.h, and mark.cpp for where they come from.
//
// An uninitialised value is reported where it has an effect: it decides a branch, is an address, is stored to device or
// threadgroup memory, or goes to another thread (a collective) or into an atomic operation. Copies are no effect, nor
// is arithmetic, which the optimiser does in advance and then throws away; its result counts as uninitialised.
//
// Not reported, since it cannot be told from what is right: whole structures and arrays that are copied to device or
// threadgroup memory with memcpy, of which some elements may be unused on purpose; stores through pointers that may
// point to several kinds of memory; arguments of functions that are not inlined; members of structures that are values.
#include "uninitialized.h"

#include "passes.h"
#include "shadow_values.h"
#include "taint.h"

#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/MDBuilder.h"
#include "llvm/Transforms/Utils/BasicBlockUtils.h"

#include <vector>

using namespace llvm;

namespace metalsim::instrument {

namespace {

/// A place in which a value has an effect.
struct Effect {
  Instruction* instruction;
  Value* value;
};

bool leaves_thread(Space space) {
  return space == Space::buffer || space == Space::threadgroup;
}

bool is_runtime_call(const Instruction& instruction) {
  const auto* call = dyn_cast<CallBase>(&instruction);
  const Function* function = call ? call->getCalledFunction() : nullptr;
  return function && function->isDeclaration() && !function->isIntrinsic() && !is_pure_call(instruction) &&
         !is_uninitialized_source(call);
}

/// The operands of an instruction that have an effect when it is executed.
SmallVector<Value*, 4> operands_with_effect(Instruction& instruction, const Origins& origins) {
  if (auto* load = dyn_cast<LoadInst>(&instruction)) {
    return {load->getPointerOperand()};
  }
  if (auto* store = dyn_cast<StoreInst>(&instruction)) {
    SmallVector<Value*, 4> operands = {store->getPointerOperand()};
    if (leaves_thread(origins.of(store->getPointerOperand()).space)) {
      operands.push_back(store->getValueOperand());
    }
    return operands;
  }
  if (auto* transfer = dyn_cast<MemTransferInst>(&instruction)) {
    return {transfer->getRawDest(), transfer->getRawSource(), transfer->getLength()};
  }
  if (auto* branch = dyn_cast<BranchInst>(&instruction)) {
    return branch->isConditional() ? SmallVector<Value*, 4>{branch->getCondition()} : SmallVector<Value*, 4>();
  }
  if (auto* choice = dyn_cast<SwitchInst>(&instruction)) {
    return {choice->getCondition()};
  }
  if (isa<AtomicRMWInst>(instruction) || isa<AtomicCmpXchgInst>(instruction)) {
    return SmallVector<Value*, 4>(instruction.operand_values());
  }
  if (is_runtime_call(instruction)) {
    return SmallVector<Value*, 4>(cast<CallBase>(instruction).args());
  }
  return {};
}

std::vector<Effect> effects_of(Function& function, const Taint& taint, const Origins& origins) {
  std::vector<Effect> effects;
  for (BasicBlock& block : function) {
    for (Instruction& instruction : block) {
      for (Value* operand : operands_with_effect(instruction, origins)) {
        if (taint.may_be_uninitialized(operand)) {
          effects.push_back({&instruction, operand});
        }
      }
    }
  }
  return effects;
}

} // namespace

void report_uninitialized_reads(Function& function, const Origins& origins, SiteTable& sites) {
  const Taint taint(function);
  if (taint.empty()) {
    return;
  }
  const std::vector<Effect> effects = effects_of(function, taint, origins);
  ShadowValues shadows(function, taint);
  shadows.insert();

  LLVMContext& context = function.getContext();
  Type* pointer = PointerType::get(context, 0);
  FunctionCallee report = function.getParent()->getOrInsertFunction("metalsim_uninitialized_read",
                                                                    Type::getVoidTy(context), pointer, pointer);
  MDNode* unlikely = MDBuilder(context).createUnlikelyBranchWeights();
  for (const Effect& effect : effects) {
    Constant* name = taint.name_of(effect.value);
    Constant* site = sites.add(*effect.instruction, Origin(), 0);
    IRBuilder<> builder(effect.instruction);
    Value* is_uninitialized = shadows.any(builder, effect.value);
    builder.SetInsertPoint(SplitBlockAndInsertIfThen(is_uninitialized, effect.instruction, false, unlikely));
    builder.CreateCall(report, {site, name ? name : ConstantPointerNull::get(cast<PointerType>(pointer))})
        ->setDoesNotThrow();
  }
}

void replace_uninitialized_sources(Module& module) {
  for (Function& function : make_early_inc_range(module)) {
    if (!function.getName().starts_with(kUninitializedPrefix)) {
      continue;
    }
    for (User* user : make_early_inc_range(function.users())) {
      auto* call = cast<Instruction>(user);
      call->replaceAllUsesWith(visible_value(call->getType()));
      call->eraseFromParent();
    }
    function.eraseFromParent();
  }
}

} // namespace metalsim::instrument
