// What a kernel may do with thread_elements() of a matrix. Apple's header declares it as vec<T, 64>, by reference, or
// by value for const matrices. Elements 0 and 1 are the thread's; what the others hold, and what becomes of a matrix to
// which all 64 are assigned, is not known.
//
// Known uses are an index, a reinterpret_cast to the thread's pair, a variable declared with `auto`, and sizeof. The
// walk sees an expression before its parts, so these note the vector in `known_uses_`, and what is not there when its
// turn comes is refused.
#include "visitor.h"

#include "llvm/ADT/StringExtras.h"

using namespace clang;

namespace metalsim::strict {
namespace {

constexpr unsigned kPair = 2;

bool is_pair_of(const ExtVectorType* elements, QualType type) {
  const auto* pair = type.getNonReferenceType()->getAs<ExtVectorType>();
  return pair != nullptr && pair->getNumElements() == kPair &&
         pair->getElementType().getCanonicalType() == elements->getElementType().getCanonicalType();
}

/// What an expression makes use of in a known way, or null.
const Expr* used_in_a_known_way(const Expr* expression) {
  if (const auto* element = dyn_cast<ArraySubscriptExpr>(expression)) {
    return element->getBase();
  }
  if (const auto* cast = dyn_cast<CXXReinterpretCastExpr>(expression)) {
    const auto* elements = matrix_elements(cast->getSubExpr()->getType());
    return elements != nullptr && cast->isGLValue() && is_pair_of(elements, cast->getType()) ? cast->getSubExpr()
                                                                                             : nullptr;
  }
  if (const auto* size = dyn_cast<UnaryExprOrTypeTraitExpr>(expression)) {
    return size->isArgumentType() ? nullptr : size->getArgumentExpr();
  }
  return nullptr;
}

} // namespace

bool Visitor::VisitDeclStmt(DeclStmt* statement) {
  for (const Decl* declaration : statement->decls()) {
    const auto* variable = dyn_cast<VarDecl>(declaration);
    if (variable == nullptr || variable->getInit() == nullptr || variable->getTypeSourceInfo() == nullptr) {
      continue;
    }
    QualType written = variable->getTypeSourceInfo()->getType().getNonReferenceType();
    if (written->getContainedAutoType() != nullptr) {
      known_uses_.insert(variable->getInit()->IgnoreParenImpCasts());
    }
  }
  return true;
}

void Visitor::check_matrix_elements(Expr* expression) {
  if (const Expr* used = used_in_a_known_way(expression)) {
    known_uses_.insert(used->IgnoreParenImpCasts());
  }
  if (const auto* element = dyn_cast<ArraySubscriptExpr>(expression)) {
    Expr::EvalResult index;
    if (matrix_elements(element->getBase()->getType()) != nullptr && !element->getIdx()->isValueDependent() &&
        element->getIdx()->EvaluateAsInt(index, ast_) && index.Val.getInt().getExtValue() / kPair != 0) {
      report(Rule::matrix_elements, expression->getExprLoc(),
             {"element " + llvm::toString(index.Val.getInt(), 10) + " is not"});
    }
    return;
  }
  bool is_named = isa<CallExpr, DeclRefExpr, MemberExpr>(expression);
  if (is_named && !expression->getType().isNull() && matrix_elements(expression->getType()) != nullptr &&
      !known_uses_.contains(expression)) {
    report(Rule::matrix_elements, expression->getExprLoc(), {kAsAWhole});
  }
}

} // namespace metalsim::strict
