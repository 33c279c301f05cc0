// Conversions between number types: "air.convert.f.f32.s.i32" makes a float of a signed int. They are instructions of
// LLVM. From floating point to integers they saturate, and NaN becomes 0, as on Apple's GPUs.

#include "lowering.h"

#include "llvm/IR/Instructions.h"
#include "llvm/IR/IRBuilder.h"

using namespace llvm;

namespace {

constexpr StringRef kPrefix = "air.convert.";

/// "f", "s" or "u" of the destination and of the source.
struct Kinds {
  StringRef to;
  StringRef from;
};

Value* to_integer(IRBuilder<>& builder, Value* value, Type* type, Kinds kinds) {
  if (type->getScalarType()->isIntegerTy(1)) {
    return builder.CreateFCmpUNE(value, Constant::getNullValue(value->getType()));
  }
  Intrinsic::ID conversion = kinds.to == "s" ? Intrinsic::fptosi_sat : Intrinsic::fptoui_sat;
  return builder.CreateIntrinsic(conversion, {type, value->getType()}, {value});
}

Value* convert(IRBuilder<>& builder, Value* value, Type* type, Kinds kinds) {
  if (kinds.to == "f") {
    if (kinds.from == "s") {
      return builder.CreateSIToFP(value, type);
    }
    if (kinds.from == "u") {
      return builder.CreateUIToFP(value, type);
    }
    unsigned from_bits = value->getType()->getScalarSizeInBits(), to_bits = type->getScalarSizeInBits();
    if (from_bits == to_bits && value->getType() != type) { // half and bfloat
      value = builder.CreateFPExt(value, type->getWithNewType(builder.getFloatTy()));
    }
    return builder.CreateFPCast(value, type);
  }
  if (kinds.from == "f") {
    return to_integer(builder, value, type, kinds);
  }
  return builder.CreateIntCast(value, type, kinds.from == "s");
}

bool is_kind(StringRef kind) {
  return kind == "f" || kind == "s" || kind == "u";
}

} // namespace

void metalsim::air::lower_conversions(Module& module) {
  for (Function& function : make_early_inc_range(module)) {
    SmallVector<StringRef> parts; // air convert f f32 s i32
    function.getName().split(parts, '.');
    if (!function.getName().starts_with(kPrefix) || parts.size() != 6 || !is_kind(parts[2]) || !is_kind(parts[4])) {
      continue; // with a rounding mode at the end, for instance: refused as unknown
    }
    for (User* user : make_early_inc_range(function.users())) {
      auto* call = cast<CallInst>(user);
      IRBuilder<> builder(call);
      call->replaceAllUsesWith(convert(builder, call->getArgOperand(0), call->getType(), {parts[2], parts[4]}));
      call->eraseFromParent();
    }
    function.eraseFromParent();
  }
}
