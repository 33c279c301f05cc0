// Variables and functions: where they may live, and what kernels may be.
#include "visitor.h"

using namespace clang;

namespace metalsim::strict {

bool Visitor::VisitVarDecl(VarDecl* variable) {
  SourceLocation location = variable->getLocation();
  check_threadgroup_object(variable);
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

/// Metal calls a constructor for a threadgroup variable. What a structure's own constructors are marked with is not
/// known here, so that only a missing one is found.
const CXXRecordDecl* Visitor::without_constructor(QualType type) const {
  const CXXRecordDecl* record = ast_.getBaseElementType(type)->getAsCXXRecordDecl();
  if (record == nullptr || !record->hasDefinition()) {
    return nullptr;
  }
  if (is_in_shim(record)) {
    return record->getName() == "matrix" ? record : nullptr;
  }
  if (!record->hasDefaultConstructor()) {
    return record;
  }
  if (!record->hasUserProvidedDefaultConstructor()) {
    for (const FieldDecl* field : record->fields()) {
      if (const CXXRecordDecl* found = without_constructor(field->getType())) {
        return found;
      }
    }
  }
  return nullptr;
}

void Visitor::check_threadgroup_variable(QualType type, const std::string& name, SourceLocation location) {
  if (type->isDependentType()) {
    return;
  }
  if (const CXXRecordDecl* record = without_constructor(type)) {
    report(Rule::threadgroup_constructor, location, {name, metal_name(ast_.getRecordType(record))});
  }
}

void Visitor::check_initializer(VarDecl* variable) {
  QualType type = variable->getType();
  // Apple's compiler wants the initializer in the class, whatever follows it: ml-explore/mlx#14.
  if (variable->isStaticDataMember() && variable->isThisDeclarationADefinition() == VarDecl::DeclarationOnly &&
      variable->getInit() == nullptr && variable->getInstantiatedFromStaticDataMember() == nullptr) {
    report(Rule::constant_initializer, variable->getLocation(), {variable->getName().str()});
    return;
  }
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

namespace {

/// A call of a function that is not constexpr, where the expression cannot have a value without it.
const FunctionDecl* function_at_run_time(const Stmt* expression) {
  if (expression == nullptr) {
    return nullptr;
  }
  if (const auto* choice = dyn_cast<ConditionalOperator>(expression)) {
    return function_at_run_time(choice->getCond());
  }
  const auto* operation = dyn_cast<BinaryOperator>(expression);
  if (operation != nullptr && operation->isLogicalOp()) {
    return function_at_run_time(operation->getLHS());
  }
  const auto* call = dyn_cast<CallExpr>(expression);
  const FunctionDecl* callee = call == nullptr ? nullptr : call->getDirectCallee();
  if (callee != nullptr && !callee->isConstexpr()) {
    return callee;
  }
  for (const Stmt* child : expression->children()) {
    if (const FunctionDecl* found = function_at_run_time(child)) {
      return found;
    }
  }
  return nullptr;
}

} // namespace

/// Apple's clang refuses a constexpr function that can never be constant; clang 19 looks for less.
void Visitor::check_constexpr(FunctionDecl* function) {
  const auto* body = dyn_cast_or_null<CompoundStmt>(function->getBody());
  bool is_template = function->isDependentContext() || function->getTemplateInstantiationPattern() != nullptr;
  if (!function->isConstexprSpecified() || is_template || body == nullptr || body->size() != 1) {
    return;
  }
  const auto* result = dyn_cast<ReturnStmt>(body->body_front());
  const FunctionDecl* callee = result == nullptr ? nullptr : function_at_run_time(result->getRetValue());
  if (callee != nullptr) {
    report(Rule::constexpr_, function->getLocation(),
           {"constexpr function '" + function->getNameAsString() + "' is never constant, as it calls '" +
            callee->getNameAsString() + "'"});
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
  check_constexpr(function);
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
    if (is_pointer && record != nullptr && !is_in_shim(record) && record->hasDefinition() && record->isEmpty()) {
      report(Rule::kernel_argument_empty, parameter->getLocation(), {name, record->getNameAsString()});
    }
  }
}

} // namespace metalsim::strict
