// Which values of a function may be uninitialised: the part that is known without running it.
//
// Values come from the calls that metalsim-mark left, and spread through operations and through the thread's variables
// that are still in memory. Everything else is initialised on all ways, and costs nothing.
#pragma once

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/SmallPtrSet.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/Function.h"
#include "llvm/IR/Instructions.h"

namespace metalsim::instrument {

bool is_uninitialized_source(const llvm::Value* value);
/// Whether values of this type are followed: numbers, pointers, and vectors of them.
bool is_followed(const llvm::Type* type);
/// A call that computes its result from its arguments and does nothing else.
bool is_pure_call(const llvm::Instruction& instruction);

class Taint {
public:
  explicit Taint(llvm::Function& function);

  bool empty() const { return values_.empty(); }
  bool may_be_uninitialized(const llvm::Value* value) const { return values_.contains(value); }
  /// Whether `address` is in variables that are followed, of which at least one may contain something uninitialised.
  bool is_in_tainted_variable(const llvm::Value* address) const;
  /// The text that names the variable from which an uninitialised value comes, or null.
  llvm::Constant* name_of(const llvm::Value* value) const;

private:
  using Variables = llvm::SmallVector<const llvm::AllocaInst*, 2>;

  void find_followed_variables();
  /// The variables that an address is in; empty if one of them is not followed, or if it may be elsewhere.
  Variables variables_of(const llvm::Value* address) const;
  void add(const llvm::Value* value);
  void add_variable(const llvm::AllocaInst* variable);
  void spread(const llvm::Value* value);
  void spread_to_user(const llvm::Value* value, const llvm::Instruction& user);
  void spread_from_variables(const llvm::Instruction& instruction);

  llvm::Function& function_;
  llvm::SmallPtrSet<const llvm::AllocaInst*, 16> followed_;
  llvm::DenseMap<const llvm::AllocaInst*, llvm::SmallVector<const llvm::Instruction*, 8>> accesses_;
  llvm::SmallPtrSet<const llvm::AllocaInst*, 16> tainted_variables_;
  llvm::DenseMap<const llvm::AllocaInst*, llvm::Constant*> variable_names_;
  llvm::SmallPtrSet<const llvm::Value*, 32> values_;
  llvm::SmallVector<const llvm::Value*, 32> pending_;
};

} // namespace metalsim::instrument
