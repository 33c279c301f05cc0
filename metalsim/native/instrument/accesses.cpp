// Reports of accesses: see accesses.h.
#include "accesses.h"

#include "../instrumentation.h"

#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/IRBuilder.h"

using namespace llvm;

namespace metalsim::instrument {

namespace {

uint32_t atomic_flag(bool is_atomic) {
  return is_atomic ? abi::kAtomic : 0;
}

void add_accesses(Instruction& instruction, const DataLayout& layout, std::vector<MemoryAccess>& accesses) {
  const auto add = [&](unsigned operand, Type* type, uint32_t flags) {
    accesses.push_back({&instruction, operand, nullptr, layout.getTypeStoreSize(type).getFixedValue(), flags});
  };
  constexpr uint32_t modify = abi::kStore | abi::kAtomic | instrumentation::kModify;
  if (auto* load = dyn_cast<LoadInst>(&instruction)) {
    add(LoadInst::getPointerOperandIndex(), load->getType(), abi::kLoad | atomic_flag(load->isAtomic()));
  } else if (auto* store = dyn_cast<StoreInst>(&instruction)) {
    add(StoreInst::getPointerOperandIndex(), store->getValueOperand()->getType(),
        abi::kStore | atomic_flag(store->isAtomic()));
  } else if (auto* update = dyn_cast<AtomicRMWInst>(&instruction)) {
    add(AtomicRMWInst::getPointerOperandIndex(), update->getValOperand()->getType(), modify);
  } else if (auto* exchange = dyn_cast<AtomicCmpXchgInst>(&instruction)) {
    add(AtomicCmpXchgInst::getPointerOperandIndex(), exchange->getNewValOperand()->getType(), modify);
  } else if (auto* transfer = dyn_cast<MemTransferInst>(&instruction)) {
    accesses.push_back(
        {&instruction, transfer->getRawSourceUse().getOperandNo(), transfer->getLength(), 0, abi::kLoad});
    accesses.push_back({&instruction, transfer->getRawDestUse().getOperandNo(), transfer->getLength(), 0, abi::kStore});
  } else if (auto* fill = dyn_cast<MemSetInst>(&instruction)) {
    accesses.push_back({&instruction, fill->getRawDestUse().getOperandNo(), fill->getLength(), 0, abi::kStore});
  }
}

bool is_reported(Space space) {
  return space != Space::thread && space != Space::constant && space != Space::runtime;
}

} // namespace

std::vector<MemoryAccess> accesses_of(Function& function) {
  std::vector<MemoryAccess> accesses;
  for (BasicBlock& block : function) {
    for (Instruction& instruction : block) {
      add_accesses(instruction, function.getDataLayout(), accesses);
    }
  }
  for (MemoryAccess& access : accesses) {
    if (const auto* length = dyn_cast_or_null<ConstantInt>(access.length)) {
      access.size = length->getZExtValue();
      access.length = nullptr;
    }
  }
  return accesses;
}

void report_accesses(const std::vector<MemoryAccess>& accesses, Module& module, const Origins& origins,
                     SiteTable& sites) {
  LLVMContext& context = module.getContext();
  Type* pointer = PointerType::get(context, 0);
  FunctionCallee report =
      module.getOrInsertFunction("metalsim_access", pointer, pointer, Type::getInt64Ty(context), pointer);
  for (const MemoryAccess& access : accesses) {
    const Origin origin = origins.of(access.address());
    if (!is_reported(origin.space)) {
      continue;
    }
    IRBuilder<> builder(access.instruction);
    Value* address = access.address();
    Value* size = access.length ? builder.CreateZExtOrTrunc(access.length, builder.getInt64Ty())
                                : static_cast<Value*>(builder.getInt64(access.size));
    Constant* site = sites.add(*access.instruction, origin, access.flags);
    CallInst* checked =
        builder.CreateCall(report, {builder.CreatePointerBitCastOrAddrSpaceCast(address, pointer), size, site});
    checked->setDoesNotThrow();
    access.instruction->setOperand(access.operand,
                                   builder.CreatePointerBitCastOrAddrSpaceCast(checked, address->getType()));
  }
}

} // namespace metalsim::instrument
