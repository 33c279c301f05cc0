// Links the implementations of AIR's intrinsics, and refuses functions that use others.
//
// intrinsics/ implements scalar forms alone: "air.fmax.v4f32" is "air.fmax.f32" of each element. This also spares that
// code from the calling convention of vectors.

#include "lowering.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/IR/Instructions.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IRReader/IRReader.h"
#include "llvm/Linker/Linker.h"
#include "llvm/Support/Regex.h"
#include "llvm/Support/SourceMgr.h"

using namespace llvm;

namespace {

/// "air.fmax.v4f32" -> "air.fmax.f32"
std::string scalar_name(StringRef name) {
  SmallVector<StringRef> parts;
  name.split(parts, '.');
  Regex vector("^v[0-9]+([a-z]+[0-9]+)$");
  SmallVector<StringRef, 2> groups;
  for (StringRef& part : parts) {
    if (vector.match(part, &groups)) {
      part = groups[1];
    }
  }
  return join(parts, ".");
}

FunctionType* scalar_type(FunctionType* type) {
  SmallVector<Type*> parameters;
  for (Type* parameter : type->params()) {
    parameters.push_back(parameter->getScalarType());
  }
  return FunctionType::get(type->getReturnType()->getScalarType(), parameters, false);
}

/// Replaces a call on vectors by one call for each element; scalar arguments are the same for all.
void scalarize(CallInst& call) {
  Function* callee = call.getCalledFunction();
  auto* type = cast<FixedVectorType>(call.getType());
  FunctionCallee scalar =
      call.getModule()->getOrInsertFunction(scalar_name(callee->getName()), scalar_type(callee->getFunctionType()));
  IRBuilder<> builder(&call);
  Value* result = PoisonValue::get(type);
  for (unsigned i = 0; i < type->getNumElements(); i++) {
    SmallVector<Value*> arguments;
    for (Value* argument : call.args()) {
      arguments.push_back(argument->getType()->isVectorTy() ? builder.CreateExtractElement(argument, i) : argument);
    }
    result = builder.CreateInsertElement(result, builder.CreateCall(scalar, arguments), i);
  }
  call.replaceAllUsesWith(result);
  call.eraseFromParent();
}

void scalarize_calls(Module& module) {
  SmallVector<CallInst*> calls;
  for (Function& function : module) {
    if (!function.getName().starts_with("air.") || !function.getReturnType()->isVectorTy()) {
      continue;
    }
    for (User* user : function.users()) {
      if (auto* call = dyn_cast<CallInst>(user)) {
        calls.push_back(call);
      }
    }
  }
  for (CallInst* call : calls) {
    scalarize(*call);
  }
}

std::unique_ptr<Module> load(Module& module, StringRef path) {
  SMDiagnostic diagnostic;
  std::unique_ptr<Module> loaded = parseIRFile(path, diagnostic, module.getContext());
  if (loaded == nullptr) {
    metalsim::air::refuse("the intrinsics in '" + path + "' cannot be read: " + diagnostic.getMessage());
  }
  return loaded;
}

/// Code of AIR functions may use what the implementations of intrinsics may use.
void copy_target_attributes(const Module& from, Module& to) {
  for (const Function& model : from) {
    if (model.isDeclaration()) {
      continue;
    }
    for (Function& function : to) {
      for (const char* name : {"target-cpu", "target-features", "tune-cpu"}) {
        if (!function.isDeclaration() && model.hasFnAttribute(name)) {
          function.addFnAttr(model.getFnAttribute(name));
        }
      }
    }
    return;
  }
}

/// A call whose type is not the callee's would be undefined: the intrinsic has another signature than was thought.
void refuse_other_signatures(const Function& function) {
  for (const User* user : function.users()) {
    auto* call = dyn_cast<CallBase>(user);
    if (call != nullptr && call->getCalledOperand() == &function &&
        call->getFunctionType() != function.getFunctionType()) {
      std::string type;
      raw_string_ostream(type) << *call->getFunctionType();
      metalsim::air::refuse("the intrinsic '" + function.getName() + "' is not implemented with the type " + type);
    }
  }
}

void refuse_unknown(const Module& module) {
  SmallVector<StringRef> unknown;
  for (const Function& function : module) {
    if (function.isDeclaration() && function.getName().starts_with("air.") && !function.use_empty()) {
      unknown.push_back(function.getName());
    }
  }
  if (!unknown.empty()) {
    metalsim::air::refuse("the function uses intrinsics of AIR that are not implemented: " + join(unknown, ", "));
  }
}

} // namespace

void metalsim::air::link_intrinsics(Module& module, StringRef bitcode_path) {
  scalarize_calls(module);
  std::unique_ptr<Module> intrinsics = load(module, bitcode_path);
  copy_target_attributes(*intrinsics, module);
  SmallVector<std::string> implemented;
  for (Function& function : *intrinsics) {
    if (!function.isDeclaration()) {
      implemented.push_back(function.getName().str());
    }
  }
  if (Linker::linkModules(module, std::move(intrinsics), Linker::LinkOnlyNeeded)) {
    refuse("the intrinsics cannot be linked");
  }
  for (const std::string& name : implemented) {
    Function* function = module.getFunction(name);
    if (function != nullptr && !function->isDeclaration()) {
      function->setLinkage(GlobalValue::InternalLinkage);
      function->removeFnAttr(Attribute::NoInline);
      function->addFnAttr(Attribute::AlwaysInline);
      refuse_other_signatures(*function);
    }
  }
  refuse_unknown(module);
}
