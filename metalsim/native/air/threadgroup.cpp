// Threadgroup variables: AIR has them as global variables of address space 3. All threadgroups run in one process here,
// so each function that uses one asks the runtime for its address at its start.

#include "lowering.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/IR/Instructions.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/ReplaceConstant.h"

using namespace llvm;

namespace {

/// The name in the source: the last identifier of a mangled name, which is preceded by its length: "_ZZ6kernelvE4tile".
/// (LLVM's demangler does not know the bfloat type that stands in many of these names.)
StringRef source_name(const GlobalVariable& variable) {
  StringRef mangled = variable.getName();
  for (size_t length = 1; length < mangled.size(); length++) {
    StringRef rest = mangled.drop_back(length);
    StringRef identifier = mangled.take_back(length);
    if (!isDigit(identifier.front()) && rest.ends_with(std::to_string(length))) {
      return identifier;
    }
  }
  return mangled;
}

FunctionCallee address_function(Module& module) {
  LLVMContext& context = module.getContext();
  Type* pointer = PointerType::get(context, 0);
  Type* integer = Type::getInt64Ty(context);
  auto* type = FunctionType::get(pointer, {Type::getInt32Ty(context), integer, integer, pointer}, false);
  FunctionCallee callee = module.getOrInsertFunction("metalsim_threadgroup_variable", type);
  auto* function = cast<Function>(callee.getCallee());
  function->setDoesNotAccessMemory();
  function->setDoesNotThrow();
  function->addFnAttr(Attribute::WillReturn);
  return callee;
}

Value* create_address(GlobalVariable& variable, Function& function, unsigned id) {
  IRBuilder<> builder(&*function.getEntryBlock().getFirstInsertionPt());
  uint64_t size = variable.getParent()->getDataLayout().getTypeAllocSize(variable.getValueType());
  uint64_t alignment = variable.getAlign().valueOrOne().value();
  Value* name = builder.CreateGlobalString(source_name(variable), "threadgroup.name");
  Value* address =
      builder.CreateCall(address_function(*variable.getParent()),
                         {builder.getInt32(id), builder.getInt64(size), builder.getInt64(alignment), name});
  return builder.CreateAddrSpaceCast(address, variable.getType());
}

} // namespace

void metalsim::air::lower_threadgroup_variables(Module& module) {
  SmallVector<GlobalVariable*> variables;
  for (GlobalVariable& variable : module.globals()) {
    if (variable.getAddressSpace() == kThreadgroupSpace) {
      variables.push_back(&variable);
    }
  }
  for (auto [id, variable] : enumerate(variables)) {
    convertUsersOfConstantsToInstructions({variable});
    MapVector<Function*, Value*> addresses;
    for (Use& use : make_early_inc_range(variable->uses())) {
      auto* user = dyn_cast<Instruction>(use.getUser());
      if (user == nullptr) {
        refuse("the threadgroup variable '" + source_name(*variable) + "' is used outside of functions");
      }
      Value*& address = addresses[user->getFunction()];
      if (address == nullptr) {
        address = create_address(*variable, *user->getFunction(), id);
      }
      use.set(address);
    }
    variable->eraseFromParent();
  }
}
