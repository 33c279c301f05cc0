// Operation counters: see operations.h.
//
// Operations are those of the optimised code for the host, without what the host alone needs. Changes of an integer's
// width are no conversions, for registers of a GPU are what they are used as; exponentials and their like are reported
// by the shim.
#include "operations.h"

#include "../instrumentation.h"

#include "llvm/ADT/SmallPtrSet.h"
#include "llvm/IR/Instructions.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/Module.h"

#include <algorithm>

using namespace llvm;

namespace metalsim::instrument {

namespace {

constexpr char kFloatAdd[] = "float_add";
constexpr char kFloatMultiply[] = "float_multiply";
constexpr char kFloatFma[] = "float_fma";
constexpr char kFloatDivide[] = "float_divide";
constexpr char kInteger[] = "integer";
constexpr char kCompareSelect[] = "compare_select";
constexpr char kBranch[] = "branch";

uint32_t elements(const Type* type) {
  const auto* vector = dyn_cast<FixedVectorType>(type);
  return vector ? vector->getNumElements() : 1;
}

/// "f16", "bf16", "i32", ...: as in Metal, where u32 is an unsigned 32-bit integer.
std::string number_name(const Type* type, char integer_letter) {
  const Type* scalar = type->getScalarType();
  if (scalar->isBFloatTy()) {
    return "bf16";
  }
  const char letter = scalar->isFloatingPointTy() ? 'f' : integer_letter;
  return letter + std::to_string(scalar->getPrimitiveSizeInBits().getFixedValue());
}

/// Empty where it is no conversion between number types.
std::string conversion_name(const CastInst& cast) {
  const auto name = [&](char source_letter, char destination_letter) {
    return number_name(cast.getSrcTy(), source_letter) + ">" + number_name(cast.getDestTy(), destination_letter);
  };
  switch (cast.getOpcode()) {
  case Instruction::FPExt:
  case Instruction::FPTrunc:
  case Instruction::SIToFP:
  case Instruction::FPToSI:
    return name('i', 'i');
  case Instruction::UIToFP:
  case Instruction::FPToUI:
    return name('u', 'u');
  default:
    return "";
  }
}

/// Whether an operand of metalsim_matrix_product (1 to 3; 0 is their types, see abi::matrix_product) is a matrix of
/// 16-bit elements.
bool is_16_bit_operand(const CallInst& product, unsigned operand) {
  const auto* types = dyn_cast<ConstantInt>(product.getArgOperand(0));
  return types && static_cast<abi::MatrixType>(types->getZExtValue() >> (6 - 2 * operand) & 3) != abi::MatrixType::f32;
}

/// Whether a value goes nowhere but into matrix products, as elements that have 16 bits there.
bool feeds_only_16_bit_operands(const Value& value, SmallPtrSetImpl<const Value*>& seen) {
  if (!seen.insert(&value).second) {
    return true;
  }
  for (const Use& use : value.uses()) {
    const User* user = use.getUser();
    if (const auto* call = dyn_cast<CallInst>(user)) {
      const Function* callee = call->getCalledFunction();
      if (!callee || callee->getName() != "metalsim_matrix_product" || !is_16_bit_operand(*call, use.getOperandNo())) {
        return false;
      }
    } else if (!(isa<InsertElementInst>(user) || isa<ShuffleVectorInst>(user) || isa<BitCastInst>(user) ||
                 isa<PHINode>(user)) ||
               !feeds_only_16_bit_operands(*user, seen)) {
      return false;
    }
  }
  return true;
}

/// Whether the shim widened it for the runtime, which takes the elements of all matrices as floats: the kernel converts
/// nothing there.
bool is_widened_by_the_shim(const CastInst& cast) {
  SmallPtrSet<const Value*, 16> seen;
  return cast.getOpcode() == Instruction::FPExt && feeds_only_16_bit_operands(cast, seen);
}

StringRef binary_class(const BinaryOperator& operation) {
  switch (operation.getOpcode()) {
  case Instruction::FAdd:
  case Instruction::FSub:
    return kFloatAdd;
  case Instruction::FMul:
    return kFloatMultiply;
  case Instruction::FDiv:
  case Instruction::FRem:
    return kFloatDivide;
  default:
    return kInteger;
  }
}

/// Empty for what costs nothing or is counted elsewhere. A change of sign is free: it is part of the next operation.
StringRef intrinsic_class(Intrinsic::ID intrinsic) {
  switch (intrinsic) {
  case Intrinsic::fma:
  case Intrinsic::fmuladd:
    return kFloatFma;
  case Intrinsic::minnum:
  case Intrinsic::maxnum:
  case Intrinsic::minimum:
  case Intrinsic::maximum:
  case Intrinsic::smin:
  case Intrinsic::smax:
  case Intrinsic::umin:
  case Intrinsic::umax:
    return kCompareSelect;
  case Intrinsic::floor:
  case Intrinsic::ceil:
  case Intrinsic::trunc:
  case Intrinsic::round:
  case Intrinsic::roundeven:
  case Intrinsic::rint:
  case Intrinsic::nearbyint:
    return kFloatAdd; // rounding takes the adder
  case Intrinsic::abs:
  case Intrinsic::bitreverse:
  case Intrinsic::ctlz:
  case Intrinsic::ctpop:
  case Intrinsic::cttz:
  case Intrinsic::fshl:
  case Intrinsic::fshr:
    return kInteger;
  default:
    return "";
  }
}

} // namespace

uint32_t OperationTable::class_of(StringRef name) {
  const auto [entry, is_new] = classes_.try_emplace(name, static_cast<uint32_t>(names_.size()));
  if (is_new) {
    names_.push_back(name.str());
  }
  return entry->second;
}

void OperationTable::count(const Instruction& instruction, Amounts& amounts) {
  const uint32_t size = elements(instruction.getType());
  if (const auto* operation = dyn_cast<BinaryOperator>(&instruction)) {
    amounts[class_of(binary_class(*operation))] += size;
  } else if (const auto* cast = dyn_cast<CastInst>(&instruction)) {
    if (const std::string name = conversion_name(*cast); !name.empty() && !is_widened_by_the_shim(*cast)) {
      amounts[class_of(name)] += size;
    }
  } else if (isa<CmpInst>(instruction) || isa<SelectInst>(instruction)) {
    amounts[class_of(kCompareSelect)] += size;
  } else if (const auto* address = dyn_cast<GetElementPtrInst>(&instruction)) {
    if (!address->hasAllConstantIndices()) {
      amounts[class_of(kInteger)] += 1;
    }
  } else if (const auto* branch = dyn_cast<BranchInst>(&instruction)) {
    if (branch->isConditional()) {
      amounts[class_of(kBranch)] += 1;
    }
  } else if (isa<SwitchInst>(instruction)) {
    amounts[class_of(kBranch)] += 1;
  } else if (const auto* intrinsic = dyn_cast<IntrinsicInst>(&instruction)) {
    if (const StringRef name = intrinsic_class(intrinsic->getIntrinsicID()); !name.empty()) {
      amounts[class_of(name)] += size;
    }
  }
}

void OperationTable::count_access(const MemoryAccess& access, Amounts& amounts) {
  const Space space = origins_.of(access.address()).space;
  const bool is_store = (access.flags & abi::kStore) != 0;
  const auto size = static_cast<uint32_t>(access.size);
  if (space == Space::constant) {
    amounts[class_of(instrumentation::kConstantLoadedBytes)] += size;
  } else if (space == Space::thread) {
    const char* name = is_store ? instrumentation::kThreadStoredBytes : instrumentation::kThreadLoadedBytes;
    amounts[class_of(name)] += size;
  }
}

void OperationTable::add(Function& function, const std::vector<MemoryAccess>& accesses) {
  for (BasicBlock& block : function) {
    Amounts amounts;
    for (const Instruction& instruction : block) {
      count(instruction, amounts);
    }
    blocks_.push_back(&block);
    amounts_.emplace(&block, std::move(amounts));
  }
  for (const MemoryAccess& access : accesses) {
    count_access(access, amounts_[access.instruction->getParent()]);
  }
}

Constant* OperationTable::class_names(Module& module) const {
  IRBuilder<> builder(module.getContext());
  std::vector<Constant*> texts;
  for (const std::string& name : names_) {
    texts.push_back(builder.CreateGlobalString(name, "metalsim.text", 0, &module));
  }
  Constant* list = ConstantArray::get(ArrayType::get(builder.getPtrTy(), texts.size()), texts);
  return new GlobalVariable(module, list->getType(), true, GlobalValue::PrivateLinkage, list, "metalsim.classes");
}

void OperationTable::emit(Module& module) {
  LLVMContext& context = module.getContext();
  IRBuilder<> builder(context);
  const auto is_empty = [this](BasicBlock* block) { return amounts_.at(block).empty(); };
  blocks_.erase(std::remove_if(blocks_.begin(), blocks_.end(), is_empty), blocks_.end());

  std::vector<uint32_t> table;
  for (BasicBlock* block : blocks_) {
    const Amounts& amounts = amounts_.at(block);
    for (uint32_t kind = 0; kind < names_.size(); ++kind) {
      const auto found = amounts.find(kind);
      table.push_back(found == amounts.end() ? 0 : found->second);
    }
  }
  Constant* operations = ConstantDataArray::get(context, table);
  auto* type = ArrayType::get(builder.getInt64Ty(), blocks_.size());
  auto* executions = new GlobalVariable(module, type, false, GlobalValue::PrivateLinkage,
                                        ConstantAggregateZero::get(type), "metalsim.executions");
  auto* operation_table = new GlobalVariable(module, operations->getType(), true, GlobalValue::PrivateLinkage,
                                             operations, "metalsim.operations");

  for (size_t number = 0; number < blocks_.size(); ++number) {
    builder.SetInsertPoint(&*blocks_[number]->getFirstInsertionPt());
    Value* counter = builder.CreateConstInBoundsGEP2_64(type, executions, 0, number);
    Value* before = builder.CreateLoad(builder.getInt64Ty(), counter);
    builder.CreateStore(builder.CreateAdd(before, builder.getInt64(1)), counter);
  }

  Constant* fields[] = {builder.getInt32(static_cast<uint32_t>(blocks_.size())),
                        builder.getInt32(static_cast<uint32_t>(names_.size())), class_names(module), executions,
                        operation_table};
  Constant* library = ConstantStruct::getAnon(fields);
  static_assert(offsetof(instrumentation::Library, class_names) == 8 && sizeof(instrumentation::Library) == 32);
  new GlobalVariable(module, library->getType(), true, GlobalValue::ExternalLinkage, library,
                     instrumentation::kLibrarySymbol);
}

} // namespace metalsim::instrument
