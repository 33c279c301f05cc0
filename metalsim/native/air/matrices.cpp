// simdgroup_matrix: AIR has a matrix as a <64 x T> in every lane, of which elements 0 and 1 are the lane's share
// (Metal's thread_elements()) and the others mean nothing. The runtime wants just these two, as floats.
//
//   air.simdgroup_matrix_8x8_multiply_accumulate.*(a, b, c)                     -> metalsim_matrix_product
//   air.simdgroup_matrix_8x8_load.*(pointer, elements per row, origin, transpose)  -> two loads
//   air.simdgroup_matrix_8x8_store.*(matrix, pointer, elements per row, origin, transpose) -> two stores
//   air.simdgroup_matrix_8x8_init_diag.*(x), init_filled.*(x)                   -> two selects, a splat
//
// Where a lane's elements are in a matrix is said once, in intrinsics/matrix.cpp.

#include "lowering.h"

#include "../abi.h"

#include "llvm/IR/Instructions.h"
#include "llvm/IR/IRBuilder.h"

using namespace llvm;

namespace {

constexpr StringRef kPrefix = "air.simdgroup_matrix_8x8_";
constexpr unsigned kElements = 64; ///< of AIR's vector
constexpr unsigned kShare = 2;     ///< of them that a lane uses

Type* element_type(Value* matrix) {
  return cast<FixedVectorType>(matrix->getType())->getElementType();
}

SmallVector<int> share_of(unsigned length) {
  SmallVector<int> mask(length, PoisonMaskElem);
  for (unsigned i = 0; i < kShare; i++) {
    mask[i] = static_cast<int>(i);
  }
  return mask;
}

uint32_t matrix_type(Type* element) {
  using metalsim::abi::MatrixType;
  MatrixType type = element->isHalfTy() ? MatrixType::f16 : element->isBFloatTy() ? MatrixType::bf16 : MatrixType::f32;
  return static_cast<uint32_t>(type);
}

/// Replaces the matrix intrinsics of one function.
class MatrixLowering {
public:
  explicit MatrixLowering(Module& module) : module_(module), context_(module.getContext()) {}

  /// Returns the value of the call, or null where it has none.
  Value* lower(CallInst& call) {
    IRBuilder<> builder(&call);
    StringRef operation = call.getCalledFunction()->getName().drop_front(kPrefix.size()).split('.').first;
    if (operation == "multiply_accumulate") {
      return product(builder, call);
    }
    if (operation == "load") {
      return load(builder, call);
    }
    if (operation == "store") {
      store(builder, call);
      return nullptr;
    }
    if (operation == "init_filled" || operation == "init_diag") {
      return init(builder, call, operation == "init_diag");
    }
    metalsim::air::refuse("the intrinsic '" + call.getCalledFunction()->getName() + "' is not implemented");
  }

private:
  Type* product_type() { return Type::getDoubleTy(context_); }

  /// A lane's share as abi::MatrixElements, which the calling convention passes in the bits of a double.
  Value* to_runtime(IRBuilder<>& builder, Value* matrix) {
    Value* share = builder.CreateShuffleVector(matrix, share_of(kShare));
    Type* floats = FixedVectorType::get(builder.getFloatTy(), kShare);
    if (share->getType() != floats) {
      share = builder.CreateFPExt(share, floats);
    }
    return builder.CreateBitCast(share, product_type());
  }

  Value* from_runtime(IRBuilder<>& builder, Value* product, Type* matrix) {
    Value* share = builder.CreateBitCast(product, FixedVectorType::get(builder.getFloatTy(), kShare));
    Type* element = cast<FixedVectorType>(matrix)->getElementType();
    if (!element->isFloatTy()) {
      share = builder.CreateFPTrunc(share, FixedVectorType::get(element, kShare));
    }
    return builder.CreateShuffleVector(share, share_of(kElements));
  }

  Value* product(IRBuilder<>& builder, CallInst& call) {
    Value *a = call.getArgOperand(0), *b = call.getArgOperand(1), *c = call.getArgOperand(2);
    uint32_t types = matrix_type(cast<FixedVectorType>(call.getType())->getElementType()) << 6 |
                     matrix_type(element_type(a)) << 4 | matrix_type(element_type(b)) << 2 |
                     matrix_type(element_type(c));
    Type* elements = product_type();
    auto* type = FunctionType::get(elements, {builder.getInt32Ty(), elements, elements, elements}, false);
    FunctionCallee callee = module_.getOrInsertFunction("metalsim_matrix_product", type);
    auto* function = cast<Function>(callee.getCallee());
    function->setConvergent();
    function->setDoesNotThrow();
    function->setCallingConv(CallingConv::PreserveNone);
    CallInst* result = builder.CreateCall(
        callee, {builder.getInt32(types), to_runtime(builder, a), to_runtime(builder, b), to_runtime(builder, c)});
    result->setCallingConv(CallingConv::PreserveNone);
    return from_runtime(builder, result, call.getType());
  }

  /// Address of element i of a lane's share of the matrix in memory that `call` names from argument `first` on.
  Value* address(IRBuilder<>& builder, CallInst& call, unsigned first, Type* element, unsigned i) {
    Value* origin = call.getArgOperand(first + 2);
    Type* integer = builder.getInt64Ty();
    auto* type =
        FunctionType::get(integer, {integer, integer, integer, builder.getInt1Ty(), builder.getInt32Ty()}, false);
    FunctionCallee callee = module_.getOrInsertFunction("metalsim_air_matrix_offset", type);
    Value* offset =
        builder.CreateCall(callee, {call.getArgOperand(first + 1), builder.CreateExtractElement(origin, uint64_t(0)),
                                    builder.CreateExtractElement(origin, uint64_t(1)), call.getArgOperand(first + 3),
                                    builder.getInt32(i)});
    return builder.CreateGEP(element, call.getArgOperand(first), offset);
  }

  Value* load(IRBuilder<>& builder, CallInst& call) {
    Type* element = element_type(&call);
    Value* matrix = PoisonValue::get(call.getType());
    for (unsigned i = 0; i < kShare; i++) {
      Value* loaded = builder.CreateLoad(element, address(builder, call, 0, element, i));
      matrix = builder.CreateInsertElement(matrix, loaded, i);
    }
    return matrix;
  }

  void store(IRBuilder<>& builder, CallInst& call) {
    Value* matrix = call.getArgOperand(0);
    for (unsigned i = 0; i < kShare; i++) {
      builder.CreateStore(builder.CreateExtractElement(matrix, i), address(builder, call, 1, element_type(matrix), i));
    }
  }

  Value* init(IRBuilder<>& builder, CallInst& call, bool diagonal) {
    Value* matrix = PoisonValue::get(call.getType());
    Value* filling = call.getArgOperand(0);
    auto* type = FunctionType::get(builder.getInt1Ty(), {builder.getInt32Ty()}, false);
    for (unsigned i = 0; i < kShare; i++) {
      Value* element = filling;
      if (diagonal) {
        FunctionCallee callee = module_.getOrInsertFunction("metalsim_air_matrix_is_diagonal", type);
        Value* on_diagonal = builder.CreateCall(callee, {builder.getInt32(i)});
        element = builder.CreateSelect(on_diagonal, filling, Constant::getNullValue(filling->getType()));
      }
      matrix = builder.CreateInsertElement(matrix, element, i);
    }
    return matrix;
  }

  Module& module_;
  LLVMContext& context_;
};

/// AIR replaces a lane's share with a shuffle that keeps elements 2 to 63 of the old matrix. Nobody reads those.
void forget_other_elements(ShuffleVectorInst& shuffle) {
  SmallVector<int> mask(shuffle.getShuffleMask());
  if (mask.size() == kElements) {
    std::fill(mask.begin() + kShare, mask.end(), PoisonMaskElem);
    shuffle.setShuffleMask(mask);
  }
}

} // namespace

void metalsim::air::lower_matrices(Module& module) {
  MatrixLowering lowering(module);
  for (Function& function : module) {
    for (BasicBlock& block : function) {
      for (Instruction& instruction : make_early_inc_range(block)) {
        if (auto* shuffle = dyn_cast<ShuffleVectorInst>(&instruction)) {
          forget_other_elements(*shuffle);
        }
        auto* call = dyn_cast<CallInst>(&instruction);
        if (call == nullptr || call->getCalledFunction() == nullptr ||
            !call->getCalledFunction()->getName().starts_with(kPrefix)) {
          continue;
        }
        if (Value* result = lowering.lower(*call)) {
          call->replaceAllUsesWith(result);
        }
        call->eraseFromParent();
      }
    }
  }
}
