// Shadow values: see shadow_values.h. Shadows of what is in memory are in shadow_variables.cpp.
#include "shadow_values.h"

#include "llvm/ADT/PostOrderIterator.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/PatternMatch.h"

#include <algorithm>

using namespace llvm;

namespace metalsim::instrument {

namespace {

/// `x < 0` and `x > -1`, which the optimiser makes of tests of the highest bit: no other bit matters.
bool is_sign_test(const ICmpInst& comparison) {
  const Value* bound = comparison.getOperand(1);
  if (comparison.getPredicate() == CmpInst::ICMP_SLT) {
    return match(bound, PatternMatch::m_Zero());
  }
  return comparison.getPredicate() == CmpInst::ICMP_SGT && match(bound, PatternMatch::m_AllOnes());
}

} // namespace

ShadowValues::ShadowValues(Function& function, const Taint& taint)
    : function_(function), taint_(taint), layout_(function.getDataLayout()) {}

Type* ShadowValues::shadow_type(Type* type) const {
  LLVMContext& context = type->getContext();
  Type* scalar = type->getScalarType();
  Type* bits = IntegerType::get(context, static_cast<unsigned>(layout_.getTypeSizeInBits(scalar).getFixedValue()));
  const auto* vector = dyn_cast<FixedVectorType>(type);
  return vector ? FixedVectorType::get(bits, vector->getNumElements()) : bits;
}

Constant* ShadowValues::all_ones(Type* type) const {
  return Constant::getAllOnesValue(shadow_type(type));
}

Value* ShadowValues::shadow(Value* value) const {
  const auto found = shadows_.find(value);
  return found == shadows_.end() ? Constant::getNullValue(shadow_type(value->getType())) : found->second;
}

Value* ShadowValues::any_bit(IRBuilder<>& builder, Value* shadow) const {
  Value* nonzero = builder.CreateICmpNE(shadow, Constant::getNullValue(shadow->getType()));
  return nonzero->getType()->isVectorTy() ? builder.CreateOrReduce(nonzero) : nonzero;
}

Value* ShadowValues::any(IRBuilder<>& builder, Value* value) const {
  return any_bit(builder, shadow(value));
}

/// `shadow` for a result of which all bits depend on all bits: element by element if there are as many.
Value* ShadowValues::widened(IRBuilder<>& builder, Value* shadow, Type* type) const {
  Type* wanted = shadow_type(type);
  const auto count = [](Type* one) {
    const auto* vector = dyn_cast<FixedVectorType>(one);
    return vector ? vector->getNumElements() : 0;
  };
  if (count(shadow->getType()) == count(wanted)) {
    return builder.CreateSExt(builder.CreateICmpNE(shadow, Constant::getNullValue(shadow->getType())), wanted);
  }
  Value* scalar = builder.CreateSExt(any_bit(builder, shadow), wanted->getScalarType());
  return count(wanted) != 0 ? builder.CreateVectorSplat(count(wanted), scalar) : scalar;
}

Value* ShadowValues::widened_operands(IRBuilder<>& builder, User& user, unsigned count, Type* type) const {
  Value* result = Constant::getNullValue(shadow_type(type));
  for (unsigned index = 0; index < count; ++index) {
    Value* operand = user.getOperand(index);
    if (taint_.may_be_uninitialized(operand)) {
      result = builder.CreateOr(result, widened(builder, shadow(operand), type));
    }
  }
  return result;
}

void ShadowValues::insert() {
  ReversePostOrderTraversal<Function*> blocks(&function_);
  SmallVector<Instruction*, 64> instructions;
  for (BasicBlock* block : blocks) {
    for (Instruction& instruction : *block) {
      instructions.push_back(&instruction);
    }
  }
  for (Instruction* instruction : instructions) {
    if (isa<StoreInst>(instruction) || isa<MemIntrinsic>(instruction)) {
      follow_write(*instruction);
    } else if (taint_.may_be_uninitialized(instruction)) {
      if (auto* phi = dyn_cast<PHINode>(instruction)) {
        Type* type = shadow_type(phi->getType());
        shadows_[phi] = PHINode::Create(type, phi->getNumIncomingValues(), "", phi->getIterator());
        continue;
      }
      IRBuilder<> builder(instruction->getNextNode());
      shadows_[instruction] = compute(builder, *instruction);
    }
  }
  complete_phis();
}

void ShadowValues::complete_phis() {
  for (const auto& [value, shadow_value] : shadows_) {
    auto* phi = dyn_cast<PHINode>(value);
    if (!phi) {
      continue;
    }
    for (unsigned index = 0; index < phi->getNumIncomingValues(); ++index) {
      cast<PHINode>(shadow_value)->addIncoming(shadow(phi->getIncomingValue(index)), phi->getIncomingBlock(index));
    }
  }
}

Value* ShadowValues::compute(IRBuilder<>& builder, Instruction& instruction) {
  Type* type = instruction.getType();
  if (is_uninitialized_source(&instruction)) {
    return all_ones(type);
  }
  if (auto* load = dyn_cast<LoadInst>(&instruction)) {
    return builder.CreateAlignedLoad(shadow_type(type), shadow_address(load->getPointerOperand()), load->getAlign());
  }
  if (auto* operation = dyn_cast<BinaryOperator>(&instruction)) {
    return of_binary(builder, *operation);
  }
  if (auto* comparison = dyn_cast<CmpInst>(&instruction)) {
    return of_comparison(builder, *comparison);
  }
  if (auto* cast = dyn_cast<CastInst>(&instruction)) {
    return of_cast(builder, *cast);
  }
  if (auto* select = dyn_cast<SelectInst>(&instruction)) {
    return of_select(builder, *select);
  }
  if (auto* shuffle = dyn_cast<ShuffleVectorInst>(&instruction)) {
    return of_shuffle(builder, *shuffle);
  }
  if (isa<InsertElementInst>(instruction) || isa<ExtractElementInst>(instruction)) {
    return of_element(builder, instruction);
  }
  if (isa<FreezeInst>(instruction) || isa<UnaryOperator>(instruction)) {
    return shadow(instruction.getOperand(0));
  }
  const auto* call = dyn_cast<CallBase>(&instruction);
  return widened_operands(builder, instruction, call ? call->arg_size() : instruction.getNumOperands(), type);
}

Value* ShadowValues::of_binary(IRBuilder<>& builder, BinaryOperator& operation) const {
  Value* a = operation.getOperand(0);
  Value* b = operation.getOperand(1);
  Value* shadow_a = shadow(a);
  Value* shadow_b = shadow(b);
  Value* either = builder.CreateOr(shadow_a, shadow_b);
  switch (operation.getOpcode()) {
  case Instruction::And: // an initialised 0 decides
    return builder.CreateAnd(either, builder.CreateAnd(builder.CreateOr(a, shadow_a), builder.CreateOr(b, shadow_b)));
  case Instruction::Or: // an initialised 1 decides
    return builder.CreateAnd(either, builder.CreateAnd(builder.CreateOr(builder.CreateNot(a), shadow_a),
                                                       builder.CreateOr(builder.CreateNot(b), shadow_b)));
  case Instruction::Xor:
    return either;
  case Instruction::Add:
  case Instruction::Sub:
  case Instruction::Mul: // carries go upward only
    return builder.CreateOr(either, builder.CreateNeg(either));
  case Instruction::Shl:
  case Instruction::LShr:
  case Instruction::AShr: {
    Value* shifted = builder.CreateBinOp(operation.getOpcode(), shadow_a, b);
    return builder.CreateOr(shifted, widened(builder, shadow_b, operation.getType()));
  }
  default:
    return widened(builder, either, operation.getType());
  }
}

Value* ShadowValues::of_comparison(IRBuilder<>& builder, CmpInst& comparison) const {
  Value* a = comparison.getOperand(0);
  Value* b = comparison.getOperand(1);
  Value* either = builder.CreateOr(shadow(a), shadow(b));
  Value* none = Constant::getNullValue(either->getType());
  const bool is_integer = a->getType()->isIntOrIntVectorTy();
  if (is_integer && cast<ICmpInst>(comparison).isEquality()) {
    // Initialised bits that differ decide.
    Value* differing = builder.CreateAnd(builder.CreateXor(a, b), builder.CreateNot(either));
    return builder.CreateAnd(builder.CreateICmpNE(either, none), builder.CreateICmpEQ(differing, none));
  }
  const bool tests_sign = is_integer && is_sign_test(cast<ICmpInst>(comparison));
  return tests_sign ? builder.CreateICmpSLT(either, none) : builder.CreateICmpNE(either, none);
}

Value* ShadowValues::of_cast(IRBuilder<>& builder, CastInst& cast) const {
  Value* operand = shadow(cast.getOperand(0));
  Type* type = shadow_type(cast.getType());
  switch (cast.getOpcode()) {
  case Instruction::ZExt:
  case Instruction::SExt:
  case Instruction::Trunc:
    return builder.CreateCast(cast.getOpcode(), operand, type);
  case Instruction::BitCast:
    return builder.CreateBitCast(operand, type);
  case Instruction::PtrToInt:
  case Instruction::IntToPtr:
  case Instruction::AddrSpaceCast:
    return builder.CreateZExtOrTrunc(operand, type);
  default:
    return widened(builder, operand, cast.getType());
  }
}

Value* ShadowValues::of_select(IRBuilder<>& builder, SelectInst& select) const {
  Value* condition = select.getCondition();
  Value* chosen = builder.CreateSelect(condition, shadow(select.getTrueValue()), shadow(select.getFalseValue()));
  if (!taint_.may_be_uninitialized(condition)) {
    return chosen;
  }
  return builder.CreateOr(chosen, widened(builder, shadow(condition), select.getType()));
}

/// Elements that a shuffle leaves open (those that make a float4 of a float3) are not the program's: they count as
/// initialised.
Value* ShadowValues::of_shuffle(IRBuilder<>& builder, ShuffleVectorInst& shuffle) const {
  SmallVector<int, 16> mask(shuffle.getShuffleMask());
  SmallVector<Constant*, 16> kept;
  auto* element = cast<IntegerType>(shadow_type(shuffle.getType())->getScalarType());
  for (int& index : mask) {
    kept.push_back(index < 0 ? Constant::getNullValue(element) : Constant::getAllOnesValue(element));
    index = std::max(index, 0);
  }
  Value* shuffled = builder.CreateShuffleVector(shadow(shuffle.getOperand(0)), shadow(shuffle.getOperand(1)), mask);
  return builder.CreateAnd(shuffled, ConstantVector::get(kept));
}

Value* ShadowValues::of_element(IRBuilder<>& builder, Instruction& access) const {
  Value* vector = shadow(access.getOperand(0));
  Value* index = access.getOperand(access.getNumOperands() - 1);
  Value* result = isa<InsertElementInst>(access)
                      ? builder.CreateInsertElement(vector, shadow(access.getOperand(1)), index)
                      : builder.CreateExtractElement(vector, index);
  if (!taint_.may_be_uninitialized(index)) {
    return result;
  }
  return builder.CreateOr(result, widened(builder, shadow(index), access.getType()));
}

} // namespace metalsim::instrument
