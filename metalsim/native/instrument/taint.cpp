// Static part of the search for uninitialised reads: see taint.h.
#include "taint.h"

#include "passes.h"

#include "llvm/Analysis/ValueTracking.h"
#include "llvm/IR/IntrinsicInst.h"

#include <deque>

using namespace llvm;

namespace metalsim::instrument {

namespace {

/// Whether an address that is computed by `user` from another one is still an address of the same variables.
bool forwards_address(const User* user) {
  return isa<GetElementPtrInst>(user) || isa<BitCastInst>(user) || isa<AddrSpaceCastInst>(user) || isa<PHINode>(user) ||
         isa<SelectInst>(user);
}

/// Collects the instructions that access a variable. False if its address gets out of sight.
bool collect_accesses(const AllocaInst& variable, SmallVectorImpl<const Instruction*>& accesses) {
  SmallVector<const Value*, 16> addresses = {&variable};
  SmallPtrSet<const Value*, 16> visited;
  while (!addresses.empty()) {
    const Value* address = addresses.pop_back_val();
    if (!visited.insert(address).second) {
      continue;
    }
    for (const User* user : address->users()) {
      if (forwards_address(user)) {
        addresses.push_back(user);
        continue;
      }
      const auto* store = dyn_cast<StoreInst>(user);
      const bool stores_address = store && store->getValueOperand() == address;
      if (stores_address || !(isa<LoadInst>(user) || store || isa<MemIntrinsic>(user))) {
        const auto* intrinsic = dyn_cast<IntrinsicInst>(user);
        if (isa<ICmpInst>(user) || (intrinsic && intrinsic->isLifetimeStartOrEnd())) {
          continue;
        }
        return false;
      }
      accesses.push_back(cast<Instruction>(user));
    }
  }
  return true;
}

SmallVector<const Value*, 2> addresses_of(const Instruction& access) {
  if (const auto* transfer = dyn_cast<MemTransferInst>(&access)) {
    return {transfer->getRawDest(), transfer->getRawSource()};
  }
  if (const auto* fill = dyn_cast<MemSetInst>(&access)) {
    return {fill->getRawDest()};
  }
  return {getLoadStorePointerOperand(&access)};
}

SmallVector<const Value*, 4> objects_of(const Value* address) {
  SmallVector<const Value*, 4> objects;
  getUnderlyingObjects(address, objects, nullptr, 0);
  return objects;
}

/// Operations whose result depends on their operands alone.
bool computes_from_operands(const Instruction& instruction) {
  return isa<PHINode>(instruction) || isa<SelectInst>(instruction) || isa<BinaryOperator>(instruction) ||
         isa<UnaryOperator>(instruction) || isa<CastInst>(instruction) || isa<CmpInst>(instruction) ||
         isa<GetElementPtrInst>(instruction) || isa<InsertElementInst>(instruction) ||
         isa<ExtractElementInst>(instruction) || isa<ShuffleVectorInst>(instruction) || isa<FreezeInst>(instruction) ||
         is_pure_call(instruction);
}

Constant* name_of_source(const Value* source) {
  return dyn_cast<Constant>(cast<CallBase>(source)->getArgOperand(0));
}

} // namespace

bool is_uninitialized_source(const Value* value) {
  const auto* call = dyn_cast<CallBase>(value);
  const Function* function = call ? call->getCalledFunction() : nullptr;
  return function && function->getName().starts_with(kUninitializedPrefix);
}

bool is_followed(const Type* type) {
  const Type* scalar = type->getScalarType();
  return !isa<ScalableVectorType>(type) &&
         (scalar->isIntegerTy() || scalar->isFloatingPointTy() || (scalar->isPointerTy() && !type->isVectorTy()));
}

bool is_pure_call(const Instruction& instruction) {
  const auto* call = dyn_cast<CallBase>(&instruction);
  return call && call->doesNotAccessMemory() && !call->isConvergent() && !is_uninitialized_source(call);
}

Taint::Taint(Function& function) : function_(function) {
  find_followed_variables();
  for (const BasicBlock& block : function) {
    for (const Instruction& instruction : block) {
      if (is_uninitialized_source(&instruction)) {
        add(&instruction);
      }
    }
  }
  while (!pending_.empty()) {
    spread(pending_.pop_back_val());
  }
}

void Taint::find_followed_variables() {
  for (const Instruction& instruction : function_.getEntryBlock()) {
    const auto* variable = dyn_cast<AllocaInst>(&instruction);
    if (variable && variable->isStaticAlloca() && collect_accesses(*variable, accesses_[variable])) {
      followed_.insert(variable);
    }
  }
  // Where an access is sometimes in a variable that is not followed, the others of this access are not either.
  for (bool changed = true; changed;) {
    changed = false;
    for (const auto& [variable, accesses] : accesses_) {
      const bool is_clear = all_of(accesses, [this](const Instruction* access) {
        return all_of(addresses_of(*access), [this](const Value* address) {
          const auto objects = objects_of(address);
          const auto is_known = [this](const Value* object) {
            const auto* other = dyn_cast<AllocaInst>(object);
            return other && followed_.contains(other);
          };
          return none_of(objects, IsaPred<AllocaInst>) || all_of(objects, is_known);
        });
      });
      if (!is_clear && followed_.erase(variable)) {
        changed = true;
      }
    }
  }
}

Taint::Variables Taint::variables_of(const Value* address) const {
  Variables variables;
  for (const Value* object : objects_of(address)) {
    const auto* variable = dyn_cast<AllocaInst>(object);
    if (!variable || !followed_.contains(variable)) {
      return {};
    }
    variables.push_back(variable);
  }
  return variables;
}

bool Taint::is_in_tainted_variable(const Value* address) const {
  return any_of(variables_of(address),
                [this](const AllocaInst* variable) { return tainted_variables_.contains(variable); });
}

void Taint::add(const Value* value) {
  if (is_followed(value->getType()) && values_.insert(value).second) {
    pending_.push_back(value);
  }
}

void Taint::add_variable(const AllocaInst* variable) {
  if (!tainted_variables_.insert(variable).second) {
    return;
  }
  for (const Instruction* access : accesses_[variable]) {
    spread_from_variables(*access);
  }
}

void Taint::spread_from_variables(const Instruction& access) {
  if (isa<LoadInst>(access)) {
    add(&access);
  } else if (const auto* transfer = dyn_cast<MemTransferInst>(&access)) {
    if (is_in_tainted_variable(transfer->getRawSource())) {
      for (const AllocaInst* variable : variables_of(transfer->getRawDest())) {
        add_variable(variable);
      }
    }
  }
}

void Taint::spread(const Value* value) {
  for (const User* user : value->users()) {
    if (const auto* instruction = dyn_cast<Instruction>(user)) {
      spread_to_user(value, *instruction);
    }
  }
}

void Taint::spread_to_user(const Value* value, const Instruction& user) {
  if (computes_from_operands(user)) {
    add(&user);
    return;
  }
  const Value* stored = nullptr;
  if (const auto* store = dyn_cast<StoreInst>(&user)) {
    stored = store->getValueOperand();
  } else if (const auto* fill = dyn_cast<MemSetInst>(&user)) {
    stored = fill->getValue();
  }
  if (stored != value) {
    return;
  }
  for (const AllocaInst* variable : variables_of(addresses_of(user).front())) {
    if (is_uninitialized_source(value)) {
      variable_names_.try_emplace(variable, name_of_source(value));
    }
    add_variable(variable);
  }
}

Constant* Taint::name_of(const Value* value) const {
  std::deque<const Value*> pending = {value};
  SmallPtrSet<const Value*, 32> visited;
  while (!pending.empty()) {
    const Value* next = pending.front();
    pending.pop_front();
    if (!may_be_uninitialized(next) || !visited.insert(next).second) {
      continue;
    }
    if (is_uninitialized_source(next)) {
      return name_of_source(next);
    }
    if (const auto* load = dyn_cast<LoadInst>(next)) {
      for (const AllocaInst* variable : variables_of(load->getPointerOperand())) {
        if (Constant* name = variable_names_.lookup(variable)) {
          return name;
        }
      }
      continue;
    }
    for (const Use& operand : cast<Instruction>(next)->operands()) {
      pending.push_back(operand);
    }
  }
  return nullptr;
}

} // namespace metalsim::instrument
