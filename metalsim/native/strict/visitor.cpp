// Where the walk goes, and what several checks need.
#include "visitor.h"

using namespace clang;

namespace metalsim::strict {

void Visitor::run() {
  // The shim's own declarations are in a precompiled header; only what was parsed here is loaded for sure.
  for (Decl* declaration : ast_.getTranslationUnitDecl()->noload_decls()) {
    if (text_.is_user(declaration->getLocation())) {
      TraverseDecl(declaration);
    }
  }
  check_recursion();
}

void Visitor::report(Rule rule, SourceLocation location, llvm::ArrayRef<std::string> words) {
  if (text_.is_user(location)) {
    findings_.report(rule, location, words);
  }
}

bool Visitor::TraverseFunctionDecl(FunctionDecl* function) {
  FunctionDecl* outer = std::exchange(function_, function);
  bool proceed = Base::TraverseFunctionDecl(function);
  function_ = outer;
  return proceed;
}

bool Visitor::TraverseCXXMethodDecl(CXXMethodDecl* function) {
  FunctionDecl* outer = std::exchange(function_, function);
  bool proceed = Base::TraverseCXXMethodDecl(function);
  function_ = outer;
  return proceed;
}

bool Visitor::TraverseCXXConstructorDecl(CXXConstructorDecl* function) {
  FunctionDecl* outer = std::exchange(function_, function);
  bool proceed = Base::TraverseCXXConstructorDecl(function);
  function_ = outer;
  return proceed;
}

bool Visitor::TraverseCXXConversionDecl(CXXConversionDecl* function) {
  FunctionDecl* outer = std::exchange(function_, function);
  bool proceed = Base::TraverseCXXConversionDecl(function);
  function_ = outer;
  return proceed;
}

bool Visitor::TraverseCXXDestructorDecl(CXXDestructorDecl* function) {
  FunctionDecl* outer = std::exchange(function_, function);
  bool proceed = Base::TraverseCXXDestructorDecl(function);
  function_ = outer;
  return proceed;
}

bool Visitor::is_kernel(const FunctionDecl* function) const {
  if (function == nullptr) {
    return false;
  }
  const FunctionDecl* pattern = function->getTemplateInstantiationPattern();
  for (const FunctionDecl* declaration : {function, pattern}) {
    if (declaration == nullptr) {
      continue;
    }
    for (const auto* annotation : declaration->specific_attrs<AnnotateAttr>()) {
      if (annotation->getAnnotation() == "metalsim_kernel") {
        return true;
      }
    }
  }
  return false;
}

bool Visitor::is_in_shim(const Decl* declaration) const {
  return !text_.is_user(declaration->getLocation());
}

const VarDecl* Visitor::function_constant_in(const Stmt* expression) const {
  if (expression == nullptr) {
    return nullptr;
  }
  if (const auto* reference = dyn_cast<DeclRefExpr>(expression)) {
    const auto* variable = dyn_cast<VarDecl>(reference->getDecl());
    if (variable == nullptr || !variable->hasGlobalStorage() || is_in_shim(variable)) {
      return nullptr;
    }
    if (text_.is_function_constant(variable->getName())) {
      return variable;
    }
    // `constant int twice = 2 * size;` has no value before the pipeline either.
    return function_constant_in(variable->getInit()) != nullptr ? variable : nullptr;
  }
  for (const Stmt* child : expression->children()) {
    if (const VarDecl* found = function_constant_in(child)) {
      return found;
    }
  }
  return nullptr;
}

} // namespace metalsim::strict
