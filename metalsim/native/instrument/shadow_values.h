// Computes, beside each value that may be uninitialised, which of its bits are: the part that is known when it runs.
//
// The technique is MemorySanitizer's (Stepanov and Serebryany, CGO 2015), for one thread's values: a shadow value has
// the width of the value and 1 for each uninitialised bit; variables in memory have a shadow variable of the same
// layout. Bits and not whole values, because the optimiser packs small values into larger ones, and copies structures
// that are initialised only in part.
#pragma once

#include "taint.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/IR/IRBuilder.h"

namespace metalsim::instrument {

class ShadowValues {
public:
  ShadowValues(llvm::Function& function, const Taint& taint);

  /// Inserts the computation of all shadows.
  void insert();
  /// The shadow of `value`; a constant zero if it cannot be uninitialised.
  llvm::Value* shadow(llvm::Value* value) const;
  /// Whether any bit of `value` is uninitialised, as an i1.
  llvm::Value* any(llvm::IRBuilder<>& builder, llvm::Value* value) const;

private:
  llvm::Type* shadow_type(llvm::Type* type) const;
  llvm::Constant* all_ones(llvm::Type* type) const;
  llvm::Value* any_bit(llvm::IRBuilder<>& builder, llvm::Value* shadow) const;
  llvm::Value* widened(llvm::IRBuilder<>& builder, llvm::Value* shadow, llvm::Type* type) const;
  llvm::Value* widened_operands(llvm::IRBuilder<>& builder, llvm::User& user, unsigned count, llvm::Type* type) const;

  llvm::Value* compute(llvm::IRBuilder<>& builder, llvm::Instruction& instruction);
  llvm::Value* of_binary(llvm::IRBuilder<>& builder, llvm::BinaryOperator& operation) const;
  llvm::Value* of_comparison(llvm::IRBuilder<>& builder, llvm::CmpInst& comparison) const;
  llvm::Value* of_cast(llvm::IRBuilder<>& builder, llvm::CastInst& cast) const;
  llvm::Value* of_select(llvm::IRBuilder<>& builder, llvm::SelectInst& select) const;
  llvm::Value* of_shuffle(llvm::IRBuilder<>& builder, llvm::ShuffleVectorInst& shuffle) const;
  llvm::Value* of_element(llvm::IRBuilder<>& builder, llvm::Instruction& access) const;
  void complete_phis();

  void follow_write(llvm::Instruction& write);
  llvm::Value* shadow_address(llvm::Value* address);
  llvm::Value* shadow_variable(llvm::AllocaInst& variable);

  llvm::Function& function_;
  const Taint& taint_;
  const llvm::DataLayout& layout_;
  llvm::DenseMap<llvm::Value*, llvm::Value*> shadows_;
  llvm::DenseMap<llvm::Value*, llvm::Value*> addresses_;
};

} // namespace metalsim::instrument
