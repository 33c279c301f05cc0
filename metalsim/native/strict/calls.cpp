// Calls: of kernels, in circles, and of matrix operations; and names of the C++ standard library.
#include "visitor.h"

#include "llvm/ADT/SmallPtrSet.h"
#include "llvm/ADT/StringSwitch.h"

using namespace clang;

namespace metalsim::strict {
namespace {

/// half, bfloat or float for a matrix, else an empty string.
std::string matrix_element(QualType type) {
  const auto* matrix =
      dyn_cast_or_null<ClassTemplateSpecializationDecl>(type.getNonReferenceType()->getAsCXXRecordDecl());
  if (matrix == nullptr || matrix->getName() != "simdgroup_matrix" || matrix->getTemplateArgs().size() == 0) {
    return "";
  }
  return metal_name(matrix->getTemplateArgs()[0].getAsType());
}

/// Functions of namespace metal itself that exist for integers, too: rules.def says what is known of them with bfloat.
bool exists_for_integers(llvm::StringRef name) {
  return name.starts_with("simd_") || name.starts_with("quad_") ||
         llvm::StringSwitch<bool>(name)
             .Cases("abs", "absdiff", "clamp", "max", "max3", "median3", "min", "min3", true)
             .Default(false);
}

} // namespace

bool Visitor::TraverseNestedNameSpecifierLoc(NestedNameSpecifierLoc qualifier) {
  for (NestedNameSpecifierLoc part = qualifier; part; part = part.getPrefix()) {
    const NamespaceDecl* space = part.getNestedNameSpecifier()->getAsNamespace();
    if (space != nullptr && space->isStdNamespace() && text_.is_written(part.getLocalBeginLoc())) {
      report(Rule::std_namespace, part.getLocalBeginLoc());
    }
  }
  return Base::TraverseNestedNameSpecifierLoc(qualifier);
}

bool Visitor::VisitUsingDirectiveDecl(UsingDirectiveDecl* directive) {
  if (directive->getNominatedNamespace()->isStdNamespace()) {
    report(Rule::std_namespace, directive->getIdentLocation());
  }
  return true;
}

bool Visitor::VisitNamespaceAliasDecl(NamespaceAliasDecl* alias) {
  if (alias->getNamespace()->isStdNamespace()) {
    report(Rule::std_namespace, alias->getTargetNameLoc());
  }
  return true;
}

bool Visitor::VisitCallExpr(CallExpr* call) {
  if (auto* member = dyn_cast<CXXMemberCallExpr>(call)) {
    free_arguments_.insert(member->getImplicitObjectArgument());
  }
  if (auto* operation = dyn_cast<CXXOperatorCallExpr>(call); operation != nullptr && operation->getNumArgs() > 0) {
    const auto* method = dyn_cast_or_null<CXXMethodDecl>(operation->getDirectCallee());
    if (method != nullptr) {
      // `operator=` that clang makes copies from any address space, as Metal's does.
      unsigned count = method->isUserProvided() ? 1 : operation->getNumArgs();
      free_arguments_.insert(operation->arg_begin(), operation->arg_begin() + count);
    }
  }
  check_method_arguments(call);
  const FunctionDecl* callee = call->getDirectCallee();
  if (callee == nullptr) {
    return true; // pointers to functions are part of Metal from 2.3 on
  }
  SourceLocation location = call->getExprLoc();
  if (callee->getIdentifier() != nullptr && callee->getName() == "metalsim_threadgroup_variable") {
    const auto* literal = dyn_cast<clang::StringLiteral>(call->getArg(call->getNumArgs() - 1)->IgnoreParenImpCasts());
    std::string name = literal == nullptr ? "" : literal->getString().str();
    if (function_ != nullptr && !is_kernel(function_)) {
      report(Rule::threadgroup_variable, location, {name});
    }
    const auto* size = dyn_cast<UnaryExprOrTypeTraitExpr>(call->getArg(1)->IgnoreParenImpCasts());
    if (size != nullptr) {
      check_threadgroup_variable(size->getTypeOfArgument(), name, location);
    }
    return true;
  }
  if (function_ != nullptr) {
    callees_[function_->getCanonicalDecl()].push_back(callee->getCanonicalDecl());
  }
  if (is_kernel(callee)) {
    report(Rule::kernel_call, location, {callee->getNameAsString()});
  }
  if (is_in_shim(callee)) {
    // Functions of Metal's library that take `T const&` here take a value in Metal.
    for (unsigned index = 0; index < std::min(call->getNumArgs(), callee->getNumParams()); index++) {
      QualType type = callee->getParamDecl(index)->getType();
      if (type->isReferenceType() && type->getPointeeType().isConstQualified()) {
        free_arguments_.insert(call->getArg(index));
      }
    }
    check_matrix_product(call, callee);
    check_bfloat_function(call, callee);
  }
  return true;
}

bool Visitor::VisitRecoveryExpr(RecoveryExpr* call) {
  // No overload takes the arguments: for simdgroup_load(matrix, source, ...) the source is what is wrong most of the
  // time.
  llvm::ArrayRef<Expr*> parts = call->subExpressions();
  const auto* callee = parts.empty() ? nullptr : dyn_cast<UnresolvedLookupExpr>(parts[0]);
  if (callee == nullptr || parts.size() < 3 || parts[2]->getType()->isDependentType()) {
    return true;
  }
  std::string name = callee->getName().getAsString();
  QualType memory = parts[2]->getType();
  if ((name != "simdgroup_load" && name != "simdgroup_store") || (!memory->isPointerType() && !memory->isArrayType())) {
    return true;
  }
  LangAS space = memory->isPointerType() ? pointee_space(memory) : space_of(memory);
  if (space == LangAS::Default || space == LangAS::sycl_global_host) {
    report(Rule::simdgroup_memory, call->getBeginLoc(), {name, metal_name(space)});
  }
  return true;
}

/// The specification (table 6.10) has one element type for all four matrices. Apple's header has a type of its own for
/// each: metallibs of PyTorch and MLX have mixed operands, ggml's and candle's kernels more of them, such as
/// half = float * bfloat + half. None of them adds to a matrix of another type than the result's.
void Visitor::check_matrix_product(CallExpr* call, const FunctionDecl* callee) {
  llvm::StringRef name = callee->getIdentifier() == nullptr ? "" : callee->getName();
  auto element = [&](unsigned index) { return matrix_element(call->getArg(index)->IgnoreParenImpCasts()->getType()); };
  bool accumulates = name == "simdgroup_multiply_accumulate" && call->getNumArgs() == 4;
  if (accumulates || (name == "simdgroup_multiply" && call->getNumArgs() == 3)) {
    std::string result = element(0);
    std::string addend = accumulates ? element(3) : result;
    std::string types = result + " = " + element(1) + " * " + element(2) + " + " + addend;
    if (result != addend) {
      report(Rule::simdgroup_product, call->getExprLoc(), {types});
    }
  }
}

void Visitor::check_bfloat_function(CallExpr* call, const FunctionDecl* callee) {
  const auto* space = dyn_cast<NamespaceDecl>(callee->getDeclContext());
  bool is_library = space != nullptr && callee->getIdentifier() != nullptr && space->getName() == "metal";
  if (!is_library || !exists_for_integers(callee->getName())) {
    return;
  }
  for (const Expr* argument : call->arguments()) {
    if (argument->IgnoreParenImpCasts()->getType()->isSpecificBuiltinType(BuiltinType::BFloat16)) {
      report(Rule::bfloat_function, call->getExprLoc(), {callee->getName().str()});
      return;
    }
  }
}

void Visitor::check_recursion() {
  for (const auto& [start, direct] : callees_) {
    llvm::SmallPtrSet<const FunctionDecl*, 16> seen;
    llvm::SmallVector<const FunctionDecl*, 16> pending(direct.begin(), direct.end());
    while (!pending.empty()) {
      const FunctionDecl* function = pending.pop_back_val();
      if (function == start) {
        bool is_direct = llvm::is_contained(direct, start);
        report(Rule::recursion, start->getLocation(),
               {start->getNameAsString(), is_direct ? "" : " through other functions"});
        break;
      }
      auto found = callees_.find(function);
      if (seen.insert(function).second && found != callees_.end()) {
        pending.append(found->second.begin(), found->second.end());
      }
    }
  }
}

} // namespace metalsim::strict
