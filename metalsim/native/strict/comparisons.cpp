// Comparisons of vectors. Metal's are vectors of bool; clang's are vectors of integers that are 0 or -1.
//
// What asks whether a component is zero takes them for the same: any, all, the condition of select, && || !, a
// conversion to bool or to a vector of bool. Everything else would get -1 where Metal has 1, or a type that Metal does
// not have there, and is refused.
//
// The walk sees an expression before its parts, so what uses a comparison as a condition notes that in `conditions_`
// and the comparison itself, which comes later, looks there. Patterns of templates are left to their instantiations: a
// call that depends on a parameter does not say yet what it calls.
#include "visitor.h"

#include "llvm/ADT/STLExtras.h"

using namespace clang;

namespace metalsim::strict {
namespace {

/// The expression itself is a vector of 0 and -1, whatever its operands are.
bool is_vector_comparison(const Expr* expression) {
  if (!isa<BinaryOperator, UnaryOperator>(expression)) {
    return false; // the message of a static assertion has no type at all
  }
  const auto* vector = expression->getType()->getAs<ExtVectorType>();
  if (vector == nullptr || !vector->getElementType()->isIntegerType() || vector->getElementType()->isBooleanType()) {
    return false;
  }
  if (const auto* binary = dyn_cast<BinaryOperator>(expression)) {
    return binary->isComparisonOp() || binary->isLogicalOp();
  }
  const auto* unary = dyn_cast<UnaryOperator>(expression);
  return unary != nullptr && unary->getOpcode() == UO_LNot;
}

bool is_bitwise(const BinaryOperator* operation) {
  return operation->getOpcode() == BO_And || operation->getOpcode() == BO_Or || operation->getOpcode() == BO_Xor;
}

/// The vector of which the expression is one or some components, or null.
const Expr* vector_of_components(const Expr* expression) {
  if (const auto* components = dyn_cast<ExtVectorElementExpr>(expression)) {
    return components->getBase();
  }
  const auto* element = dyn_cast<ArraySubscriptExpr>(expression);
  return element != nullptr && element->getBase()->getType()->isVectorType() ? element->getBase() : nullptr;
}

/// The parts whose components an expression passes on, or joins bit by bit.
llvm::SmallVector<const Expr*, 2> passed_on(const Expr* expression) {
  if (const Expr* vector = vector_of_components(expression)) {
    return {vector};
  }
  if (const auto* choice = dyn_cast<ConditionalOperator>(expression)) {
    return {choice->getTrueExpr(), choice->getFalseExpr()};
  }
  const auto* binary = dyn_cast<BinaryOperator>(expression);
  if (binary != nullptr && is_bitwise(binary)) {
    return {binary->getLHS(), binary->getRHS()};
  }
  return {};
}

/// Every component of the expression is 0 or -1, because it is made of comparisons of vectors alone.
bool has_components_of_comparison(const Expr* expression) {
  expression = expression->IgnoreParenImpCasts();
  if (is_vector_comparison(expression)) {
    return true;
  }
  llvm::SmallVector<const Expr*, 2> parts = passed_on(expression);
  return !parts.empty() && llvm::all_of(parts, has_components_of_comparison);
}

/// bool, or one of the shim's vectors of it.
bool holds_bools(QualType type) {
  if (const auto* vector = type->getAs<ExtVectorType>()) {
    return vector->getElementType()->isBooleanType();
  }
  const CXXRecordDecl* record = type->getAsCXXRecordDecl();
  bool is_vector = record != nullptr && record->getIdentifier() != nullptr && record->getName() == "BoolVector";
  return is_vector || type->isBooleanType();
}

/// `METALSIM_MAKE(T)(...)` of a T that holds bools.
bool makes_bools(const FunctionDecl* callee) {
  const auto* maker = dyn_cast<ClassTemplateSpecializationDecl>(callee->getDeclContext());
  return maker != nullptr && maker->getName() == "Make" &&
         maker->getTemplateArgs()[0].getKind() == TemplateArgument::Type &&
         holds_bools(maker->getTemplateArgs()[0].getAsType());
}

/// The arguments of a call of the shim that it takes for conditions.
llvm::ArrayRef<const Expr*> condition_arguments(const CallExpr* call, const FunctionDecl* callee) {
  llvm::ArrayRef<const Expr*> arguments(call->getArgs(), call->getNumArgs());
  if (makes_bools(callee)) {
    return arguments;
  }
  llvm::StringRef name = callee->getIdentifier() == nullptr ? "" : callee->getName();
  if (name == "any" || name == "all") {
    return arguments;
  }
  return name == "select" ? arguments.drop_front(std::min<size_t>(2, arguments.size())) : llvm::ArrayRef<const Expr*>();
}

} // namespace

void Visitor::note_conditions(llvm::ArrayRef<const Expr*> expressions) {
  for (const Expr* expression : expressions) {
    conditions_.insert(expression->IgnoreParenImpCasts());
  }
}

void Visitor::note_conditions_of_operator(const BinaryOperator* operation) {
  llvm::SmallVector<const Expr*, 2> operands = {operation->getLHS(), operation->getRHS()};
  // -1 and -1 are as equal as true and true; but they are less than 0.
  bool is_equality = operation->isEqualityOp() && llvm::all_of(operands, has_components_of_comparison);
  if (operation->isLogicalOp() || is_equality) {
    note_conditions(operands);
  }
}

void Visitor::note_conditions_of_list(const InitListExpr* list) {
  // The walk is through the list as it is written, which lacks the conversions.
  const InitListExpr* converted = list->isSemanticForm() ? list : list->getSemanticForm();
  for (const Expr* part : converted->inits()) {
    const auto* construction = part == nullptr ? nullptr : dyn_cast<CXXConstructExpr>(part->IgnoreParenImpCasts());
    if (construction != nullptr && holds_bools(construction->getType())) {
      note_conditions({construction->getArgs(), construction->getNumArgs()});
    }
  }
}

bool Visitor::VisitExpr(Expr* expression) {
  if (function_ != nullptr && function_->isDependentContext()) {
    return true;
  }
  check_matrix_elements(expression);
  if (auto* operation = dyn_cast<BinaryOperator>(expression)) {
    note_conditions_of_operator(operation);
  } else if (auto* list = dyn_cast<InitListExpr>(expression)) {
    note_conditions_of_list(list);
  } else if (auto* choice = dyn_cast<ConditionalOperator>(expression)) {
    note_conditions(choice->getCond());
  } else if (auto* negation = dyn_cast<UnaryOperator>(expression)) {
    if (negation->getOpcode() == UO_LNot) {
      note_conditions(negation->getSubExpr());
    }
  } else if (auto* cast = dyn_cast<CastExpr>(expression)) {
    if (cast->getCastKind() == CK_IntegralToBoolean) {
      note_conditions(cast->getSubExpr());
    }
  } else if (auto* construction = dyn_cast<CXXConstructExpr>(expression)) {
    if (holds_bools(construction->getType())) {
      note_conditions({construction->getArgs(), construction->getNumArgs()});
    }
  } else if (auto* call = dyn_cast<CallExpr>(expression)) {
    const FunctionDecl* callee = call->getDirectCallee();
    if (callee != nullptr && is_in_shim(callee)) {
      note_conditions(condition_arguments(call, callee));
    }
  }
  if (conditions_.contains(expression)) {
    if (has_components_of_comparison(expression)) {
      note_conditions(passed_on(expression));
    }
  } else if (is_vector_comparison(expression)) {
    const auto* vector = expression->getType()->getAs<ExtVectorType>();
    report(Rule::vector_comparison, expression->getExprLoc(), {std::to_string(vector->getNumElements())});
  }
  return true;
}

} // namespace metalsim::strict
