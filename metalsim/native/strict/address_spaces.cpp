// Address spaces: missing on a pointer or a reference, and changed by a conversion.
//
// Clang's default address space is Metal's `thread`: a pointer that says neither is found by its text. Parameters that
// are written as arrays are left alone: PyTorch's c10/metal/special_math.h has `const float array[]`. So is `auto*`,
// whose address space is that of what it is initialized with.
#include "visitor.h"

using namespace clang;

namespace metalsim::strict {
namespace {

/// The part of a declarator before the last * or &, down to the one before it or to the type.
SourceLocation begin_of(TypeLoc type) {
  for (;;) {
    type = type.getUnqualifiedLoc();
    if (auto pointer = type.getAs<PointerTypeLoc>()) {
      return pointer.getStarLoc();
    }
    if (auto array = type.getAs<ArrayTypeLoc>()) {
      type = array.getElementLoc();
    } else if (auto paren = type.getAs<ParenTypeLoc>()) {
      type = paren.getInnerLoc();
    } else {
      return type.getBeginLoc();
    }
  }
}

} // namespace

void Visitor::check_has_address_space(QualType pointee, TypeLoc written, SourceLocation sigil, const char* kind) {
  bool is_known = !pointee->isDependentType() && !pointee->getContainedAutoType();
  if (!is_known || pointee->isFunctionType() || space_of(pointee) != LangAS::Default || !text_.is_written(sigil)) {
    return;
  }
  if (!text_.says_thread(begin_of(written), sigil)) {
    report(Rule::address_space, sigil, {kind});
  }
}

bool Visitor::VisitPointerTypeLoc(PointerTypeLoc type) {
  check_has_address_space(type.getTypePtr()->getPointeeType(), type.getPointeeLoc(), type.getStarLoc(), "pointer");
  return true;
}

bool Visitor::VisitLValueReferenceTypeLoc(LValueReferenceTypeLoc type) {
  QualType pointee = type.getTypePtr()->getPointeeTypeAsWritten();
  check_has_address_space(pointee, type.getPointeeLoc(), type.getAmpLoc(), "reference");
  return true;
}

bool Visitor::VisitRValueReferenceTypeLoc(RValueReferenceTypeLoc type) {
  QualType pointee = type.getTypePtr()->getPointeeTypeAsWritten();
  check_has_address_space(pointee, type.getPointeeLoc(), type.getAmpAmpLoc(), "reference");
  return true;
}

bool Visitor::VisitCXXConstructExpr(CXXConstructExpr* construction) {
  const CXXConstructorDecl* constructor = construction->getConstructor();
  if (constructor->isCopyOrMoveConstructor() && !constructor->isUserProvided()) {
    free_arguments_.insert(construction->arg_begin(), construction->arg_end());
  } else {
    check_construction(construction);
  }
  return true;
}

bool Visitor::VisitImplicitCastExpr(ImplicitCastExpr* cast) {
  QualType from = cast->getSubExpr()->getType();
  QualType to = cast->getType();
  SourceLocation location = cast->getExprLoc();
  if (cast->isPartOfExplicitCast() || from->isDependentType() || to->isDependentType()) {
    return true;
  }
  switch (cast->getCastKind()) {
  case CK_AddressSpaceConversion:
    if (!free_arguments_.contains(cast)) {
      bool is_object = cast->isGLValue(); // a reference is bound to it
      LangAS source = is_object ? space_of(from) : pointee_space(from);
      LangAS target = is_object ? space_of(to) : pointee_space(to);
      report(Rule::address_space_conversion, location, {metal_name(source), metal_name(target)});
    }
    return true;
  case CK_BitCast:
    if (from->isExtVectorType() && to->isExtVectorType()) {
      report(Rule::vector_conversion, location, {metal_name(from), metal_name(to)});
    }
    return true;
  case CK_FloatingCast:
    check_bfloat_conversion(from, to, cast->getSubExpr(), location);
    [[fallthrough]];
  case CK_IntegralToFloating:
    // The argument of a function without a prototype becomes a double, too.
    if (to->isSpecificBuiltinType(BuiltinType::Double) && text_.is_written(location)) {
      report(Rule::double_, location, {"this value becomes a double"});
    }
    return true;
  default:
    return true;
  }
}

bool Visitor::VisitExplicitCastExpr(ExplicitCastExpr* cast) {
  QualType from = cast->getSubExprAsWritten()->getType();
  QualType to = cast->getType();
  if (from->isDependentType() || to->isDependentType() || !text_.is_written(cast->getBeginLoc())) {
    return true;
  }
  bool are_pointers = from->isPointerType() && to->isPointerType();
  bool is_reference = cast->isGLValue() && cast->getSubExprAsWritten()->isGLValue();
  if (!are_pointers && !is_reference) {
    return true;
  }
  LangAS source = are_pointers ? pointee_space(from) : space_of(from);
  LangAS target = are_pointers ? pointee_space(to) : space_of(to);
  if (source != target) {
    report(Rule::address_space_cast, cast->getBeginLoc(), {metal_name(source), metal_name(target)});
  } else {
    check_binding(are_pointers ? to : ast_.getLValueReferenceType(to), cast->getSubExprAsWritten());
  }
  return true;
}

} // namespace metalsim::strict
