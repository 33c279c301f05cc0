// Variables and functions: where they may live, and what kernels may be.
#include "visitor.h"

using namespace clang;

namespace metalsim::strict {

bool Visitor::VisitVarDecl(VarDecl* variable) {
  SourceLocation location = variable->getLocation();
  if (!text_.is_written(location)) {
    return true; // the shim's, for instance what a threadgroup variable becomes
  }
  std::string name = variable->getName().str();
  if (variable->getTSCSpec() != TSCS_unspecified) {
    report(Rule::thread_local_, location, {name});
  } else if (variable->isStaticLocal() && space_of(variable->getType()) != LangAS::sycl_global_host) {
    report(Rule::static_variable, location, {name});
  } else if (variable->isFileVarDecl()) {
    check_program_scope(variable);
  }
  // Only of what exists: PyTorch names simdgroup_matrix<bool, 8, 8> in an alias that it does not use.
  check_matrix(ast_.getBaseElementType(variable->getType()), location);
  if (variable->getInit() != nullptr && !isa<ParmVarDecl>(variable)) {
    check_binding(variable->getType(), variable->getInit());
  }
  if (variable->getStorageClass() == SC_Register) {
    report(Rule::register_, location, {name});
  }
  return true;
}

void Visitor::check_program_scope(VarDecl* variable) {
  std::string name = variable->getName().str();
  switch (space_of(variable->getType())) {
  case LangAS::sycl_global_host:
    check_initializer(variable);
    break;
  case LangAS::sycl_local:
    report(Rule::threadgroup_variable, variable->getLocation(), {name});
    break;
  default:
    report(Rule::program_scope_variable, variable->getLocation(), {name});
  }
}

void Visitor::check_initializer(VarDecl* variable) {
  QualType type = variable->getType();
  bool is_pattern = type->isDependentType() || variable->getDeclContext()->isDependentContext();
  if (is_pattern || variable->isInvalidDecl()) {
    return;
  }
  std::string name = variable->getName().str();
  if (text_.is_function_constant(name)) {
    if (!type->isScalarType() && !type->isExtVectorType()) {
      report(Rule::function_constant_type, variable->getLocation(), {name});
    }
    if (!variable->getDeclContext()->getRedeclContext()->isTranslationUnit()) {
      report(Rule::function_constant_namespace, variable->getLocation(), {name});
    }
    return;
  }
  const Expr* initializer = variable->getAnyInitializer();
  if (initializer == nullptr) {
    if (variable->isThisDeclarationADefinition() != VarDecl::DeclarationOnly) {
      report(Rule::constant_initializer, variable->getLocation(), {name});
    }
    return;
  }
  bool is_constant =
      initializer->isValueDependent() || initializer->isConstantInitializer(ast_, type->isReferenceType());
  if (!is_constant && function_constant_in(initializer) == nullptr) {
    report(Rule::constant_initializer, variable->getLocation(), {name});
  }
}

bool Visitor::VisitFunctionDecl(FunctionDecl* function) {
  SourceLocation location = function->getLocation();
  if (!text_.is_written(location)) {
    return true;
  }
  if (const auto* method = dyn_cast<CXXMethodDecl>(function)) {
    if (method->isVirtualAsWritten()) {
      report(Rule::virtual_, location, {function->getNameAsString()});
    }
  } else if (function->getIdentifier() != nullptr && function->getName() == "main") {
    report(Rule::main_, location);
  }
  if (function->getReturnType().getAddressSpace() != LangAS::Default) {
    report(Rule::address_space_place, location, {"a function's result has no address space"});
  }
  if (const auto* constructor = dyn_cast<CXXConstructorDecl>(function)) {
    check_member_initializers(constructor);
  }
  if (is_kernel(function)) {
    check_kernel(function);
  }
  return true;
}

void Visitor::check_kernel(FunctionDecl* kernel) {
  QualType result = kernel->getReturnType();
  if (!result->isVoidType() && !result->isDependentType()) {
    report(Rule::kernel_return, kernel->getLocation(), {kernel->getNameAsString(), metal_name(result)});
  }
  for (const ParmVarDecl* parameter : kernel->parameters()) {
    QualType type = parameter->getType();
    if (type->isDependentType()) {
      continue;
    }
    std::string name = parameter->getName().str();
    bool is_pointer = type->isPointerType() || type->isReferenceType();
    QualType pointee = is_pointer ? type->getPointeeType() : type;
    bool says_thread = text_.says_thread(parameter->getBeginLoc(), parameter->getLocation());
    // One that says nothing is reported as a pointer without an address space.
    if (is_pointer && space_of(pointee) == LangAS::Default && says_thread) {
      report(Rule::kernel_argument_address_space, parameter->getLocation(), {name});
    }
    const CXXRecordDecl* record = pointee->getAsCXXRecordDecl();
    if (record != nullptr && !is_in_shim(record) && record->hasDefinition() && record->getNumBases() > 0) {
      report(Rule::kernel_argument_class, parameter->getLocation(), {name, record->getNameAsString()});
    }
  }
}

} // namespace metalsim::strict
