// Shadows of a thread's variables that are in memory: a second variable of the same size for each, accessed at the same
// offsets. Variables whose address gets out of sight, or is mixed with that of other memory, have none: what is read
// from them counts as initialised.
#include "shadow_values.h"

#include "llvm/IR/IntrinsicInst.h"

using namespace llvm;

namespace metalsim::instrument {

Value* ShadowValues::shadow_variable(AllocaInst& variable) {
  IRBuilder<> builder(&variable);
  const uint64_t size = variable.getAllocationSize(layout_)->getFixedValue();
  AllocaInst* shadow_of = builder.CreateAlloca(ArrayType::get(builder.getInt8Ty(), size), nullptr, "metalsim.shadow");
  shadow_of->setAlignment(variable.getAlign());
  builder.CreateMemSet(shadow_of, builder.getInt8(0), size, shadow_of->getAlign());
  return shadow_of;
}

/// Where the shadow of what is at `address` is.
Value* ShadowValues::shadow_address(Value* address) {
  if (Value* known = addresses_.lookup(address)) {
    return known;
  }
  if (auto* variable = dyn_cast<AllocaInst>(address)) {
    return addresses_[address] = shadow_variable(*variable);
  }
  auto* computed = cast<Instruction>(address);
  if (auto* phi = dyn_cast<PHINode>(computed)) {
    PHINode* result = PHINode::Create(phi->getType(), phi->getNumIncomingValues(), "", phi->getIterator());
    addresses_[address] = result; // before its incoming values: it may be one of them
    for (unsigned index = 0; index < phi->getNumIncomingValues(); ++index) {
      result->addIncoming(shadow_address(phi->getIncomingValue(index)), phi->getIncomingBlock(index));
    }
    return result;
  }
  Instruction* copy = computed->clone();
  copy->insertAfter(computed);
  addresses_[address] = copy;
  const unsigned first = isa<SelectInst>(copy) ? 1 : 0;
  const unsigned last = isa<SelectInst>(copy) ? 2 : 0;
  for (unsigned index = first; index <= last; ++index) {
    copy->setOperand(index, shadow_address(copy->getOperand(index)));
  }
  return copy;
}

void ShadowValues::follow_write(Instruction& write) {
  IRBuilder<> builder(write.getNextNode());
  if (auto* store = dyn_cast<StoreInst>(&write)) {
    Value* value = store->getValueOperand();
    if (taint_.is_in_tainted_variable(store->getPointerOperand())) {
      Value* address = shadow_address(store->getPointerOperand());
      if (is_followed(value->getType())) {
        builder.CreateAlignedStore(shadow(value), address, store->getAlign());
      } else {
        builder.CreateMemSet(address, builder.getInt8(0), layout_.getTypeStoreSize(value->getType()),
                             store->getAlign());
      }
    }
    return;
  }
  auto& intrinsic = cast<MemIntrinsic>(write);
  if (!taint_.is_in_tainted_variable(intrinsic.getRawDest())) {
    return;
  }
  Value* address = shadow_address(intrinsic.getRawDest());
  auto* transfer = dyn_cast<MemTransferInst>(&write);
  if (transfer && taint_.is_in_tainted_variable(transfer->getRawSource())) {
    builder.CreateMemMove(address, MaybeAlign(), shadow_address(transfer->getRawSource()), MaybeAlign(),
                          intrinsic.getLength());
    return;
  }
  auto* fill = dyn_cast<MemSetInst>(&write);
  Value* bits = fill ? shadow(fill->getValue()) : builder.getInt8(0);
  builder.CreateMemSet(address, bits, intrinsic.getLength(), MaybeAlign());
}

} // namespace metalsim::instrument
