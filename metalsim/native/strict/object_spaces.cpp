// See object_spaces.h.
#include "object_spaces.h"
#include "metal_names.h"

#include "clang/AST/Attr.h"
#include "clang/AST/ExprCXX.h"
#include "llvm/ADT/StringSwitch.h"

using namespace clang;

namespace metalsim::strict {
namespace {

ObjectSpace space_of_type(LangAS space) {
  switch (space) {
  case LangAS::sycl_global:
    return kDevice;
  case LangAS::sycl_local:
    return kThreadgroup;
  case LangAS::sycl_global_host:
    return kConstant;
  default:
    return kThread;
  }
}

/// What METALSIM_OBJECTS says of a function, "none;none device" for instance; of one without it "none;none".
StringRef annotation(const FunctionDecl* function) {
  const FunctionDecl* pattern = function->getTemplateInstantiationPattern();
  for (const FunctionDecl* declaration : {function, pattern}) {
    if (declaration == nullptr) {
      continue;
    }
    for (const auto* attribute : declaration->specific_attrs<AnnotateAttr>()) {
      StringRef text = attribute->getAnnotation();
      if (text.consume_front("metalsim_objects:")) {
        return text;
      }
    }
  }
  return "none;none";
}

ObjectSpace space_of_word(StringRef word, ObjectSpace unqualified) {
  return llvm::StringSwitch<ObjectSpace>(word)
      .Case("thread", kThread)
      .Case("device", kDevice)
      .Case("threadgroup", kThreadgroup)
      .Case("constant", kConstant)
      .Default(unqualified);
}

/// What `auto&` and `auto*` are bound to; null for types that say themselves where they lead.
const Expr* deduced_from(const DeclRefExpr* reference) {
  const auto* variable = dyn_cast<VarDecl>(reference->getDecl());
  bool is_deduced = variable != nullptr && !isa<ParmVarDecl>(variable) && variable->getInit() != nullptr &&
                    variable->getType()->getContainedAutoType() != nullptr;
  return is_deduced ? variable->getInit() : nullptr;
}

} // namespace

const char* metal_name(ObjectSpace space) {
  switch (space) {
  case kDevice:
    return "device";
  case kThreadgroup:
    return "threadgroup";
  case kConstant:
    return "constant";
  case kGeneric:
    return "generic";
  default:
    return "thread";
  }
}

ObjectSpace ObjectSpaces::of_this(const FunctionDecl* function) const {
  const auto* method = dyn_cast_or_null<CXXMethodDecl>(function);
  if (method == nullptr || method->isStatic() || method->getParent()->isLambda()) {
    return kThread;
  }
  return space_of_word(annotation(method).split(';').first, unqualified_);
}

unsigned ObjectSpaces::served_by(const FunctionDecl* method) const {
  SmallVector<StringRef, 4> words;
  annotation(method).split(';').second.split(words, ' ');
  unsigned spaces = 0;
  for (StringRef word : words) {
    spaces |= space_of_word(word, unqualified_);
  }
  return (spaces & kGeneric) != 0 ? spaces | kThread | kDevice | kThreadgroup : spaces;
}

ObjectSpace ObjectSpaces::of_object(const Expr* object, ObjectSpace self) const {
  object = object->IgnoreParenImpCasts();
  if (const auto* member = dyn_cast<MemberExpr>(object)) {
    const auto* field = dyn_cast<FieldDecl>(member->getMemberDecl());
    if (field != nullptr && !field->getType()->isReferenceType()) {
      return member->isArrow() ? of_pointee(member->getBase(), self) : of_object(member->getBase(), self);
    }
  } else if (const auto* subscript = dyn_cast<ArraySubscriptExpr>(object)) {
    return of_pointee(subscript->getBase(), self);
  } else if (const auto* operation = dyn_cast<UnaryOperator>(object)) {
    if (operation->getOpcode() == UO_Deref) {
      return of_pointee(operation->getSubExpr(), self);
    }
    return of_object(operation->getSubExpr(), self); // ++x
  } else if (const auto* binary = dyn_cast<BinaryOperator>(object)) {
    return of_object(binary->getOpcode() == BO_Comma ? binary->getRHS() : binary->getLHS(), self); // x = y
  } else if (const auto* choice = dyn_cast<ConditionalOperator>(object)) {
    return of_object(choice->getTrueExpr(), self);
  } else if (const auto* reference = dyn_cast<DeclRefExpr>(object)) {
    const Expr* source = reference->getDecl()->getType()->isReferenceType() ? deduced_from(reference) : nullptr;
    if (source != nullptr && source->isGLValue()) {
      return of_object(source, self);
    }
  }
  return space_of_type(space_of(object->getType()));
}

ObjectSpace ObjectSpaces::of_pointee(const Expr* pointer, ObjectSpace self) const {
  pointer = pointer->IgnoreParens();
  if (isa<CXXThisExpr>(pointer)) {
    return self;
  }
  if (const auto* cast = dyn_cast<ImplicitCastExpr>(pointer)) {
    bool decays = cast->getCastKind() == CK_ArrayToPointerDecay;
    return decays ? of_object(cast->getSubExpr(), self) : of_pointee(cast->getSubExpr(), self);
  }
  if (const auto* operation = dyn_cast<UnaryOperator>(pointer)) {
    if (operation->getOpcode() == UO_AddrOf) {
      return of_object(operation->getSubExpr(), self);
    }
    if (operation->isIncrementDecrementOp()) {
      return of_pointee(operation->getSubExpr(), self);
    }
  }
  if (const auto* binary = dyn_cast<BinaryOperator>(pointer)) {
    bool left = binary->getOpcode() != BO_Comma && binary->getLHS()->getType()->isPointerType();
    return of_pointee(left ? binary->getLHS() : binary->getRHS(), self);
  }
  if (const auto* choice = dyn_cast<ConditionalOperator>(pointer)) {
    return of_pointee(choice->getTrueExpr(), self);
  }
  if (const auto* reference = dyn_cast<DeclRefExpr>(pointer)) {
    if (const Expr* source = deduced_from(reference)) {
      return source->getType()->isPointerType() ? of_pointee(source, self) : of_object(source, self);
    }
  }
  QualType type = pointer->getType();
  return space_of_type(type->isPointerType() ? pointee_space(type) : space_of(type));
}

} // namespace metalsim::strict
