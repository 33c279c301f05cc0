// Types that Metal does not have, or not yet, and what becomes one of them.
#include "visitor.h"

#include "llvm/ADT/StringExtras.h"

using namespace clang;

namespace metalsim::strict {
namespace {

QualType element(QualType type) {
  type = type.getNonReferenceType();
  if (const auto* vector = type->getAs<ExtVectorType>()) {
    return vector->getElementType();
  }
  return type;
}

bool is_bfloat(QualType type) {
  return element(type)->isSpecificBuiltinType(BuiltinType::BFloat16);
}

} // namespace

bool Visitor::VisitBuiltinTypeLoc(BuiltinTypeLoc type) {
  SourceLocation location = type.getBeginLoc();
  llvm::StringRef word = text_.is_written(location) ? text_.identifier_at(location) : "";
  // In an instantiation the place of a parameter T has the type of its argument; clang tries `double` for conversions.
  bool is_double = word == "double" || word == "long";
  bool is_long = word == "long" || word == "unsigned" || word == "signed";
  switch (type.getTypePtr()->getKind()) {
  case BuiltinType::Double:
  case BuiltinType::LongDouble:
    if (is_double) {
      report(Rule::double_, location, {word == "long" ? "this is a long double" : "this is a double"});
    }
    break;
  case BuiltinType::Int128:
  case BuiltinType::UInt128:
  case BuiltinType::Float128:
    if (word.starts_with("__")) {
      report(Rule::long_long, location, {"this is a type of 128 bits"});
    }
    break;
  case BuiltinType::LongLong:
  case BuiltinType::ULongLong:
    if (is_long) {
      report(Rule::long_long, location, {"this is a long long"});
    }
    break;
  default:
    break;
  }
  return true;
}

bool Visitor::VisitTypedefTypeLoc(TypedefTypeLoc type) {
  const TypedefNameDecl* name = type.getTypedefNameDecl();
  if (is_in_shim(name) && text_.is_written(type.getNameLoc()) && is_bfloat(name->getUnderlyingType())) {
    report(Rule::bfloat, type.getNameLoc(), {name->getName().str()});
  }
  if (!is_in_shim(name) && name->getUnderlyingType()->isArrayType() && text_.is_written(type.getNameLoc()) &&
      text_.says_address_space(type.getNameLoc())) {
    report(Rule::array_typedef_address_space, type.getNameLoc(), {name->getName().str()});
  }
  return true;
}

bool Visitor::VisitUnaryOperator(UnaryOperator* operation) {
  QualType type = operation->getSubExpr()->getType();
  const auto* vector = type->isDependentType() ? nullptr : type->getAs<ExtVectorType>();
  if (operation->getOpcode() == UO_Minus && vector != nullptr && is_bfloat(type)) {
    bool is_pair = vector->getNumElements() == 2;
    std::string bits = is_pair ? "uint" : "ushort" + std::to_string(vector->getNumElements());
    report(Rule::bfloat_negation, operation->getOperatorLoc(),
           {metal_name(type), bits, is_pair ? "0x80008000" : "0x8000"});
  }
  return true;
}

bool Visitor::VisitTemplateSpecializationTypeLoc(TemplateSpecializationTypeLoc type) {
  const TemplateDecl* name = type.getTypePtr()->getTemplateName().getAsTemplateDecl();
  if (name == nullptr || name->getName() != "matrix" || !is_in_shim(name) || type.getNumArgs() == 0 ||
      type.getArgLoc(0).getArgument().getKind() != TemplateArgument::Type) {
    return true;
  }
  // Apple's template has a constraint, so that its name with another type is a mistake, used or not.
  QualType entry = type.getArgLoc(0).getArgument().getAsType();
  if (!entry->isDependentType() && !entry->isSpecificBuiltinType(BuiltinType::Float) &&
      !entry->isSpecificBuiltinType(BuiltinType::Float16) && !entry->isSpecificBuiltinType(BuiltinType::BFloat16)) {
    report(Rule::matrix, type.getTemplateNameLoc(), {"matrix<" + metal_name(entry) + ", ...>"});
  }
  return true;
}

bool Visitor::VisitVariableArrayTypeLoc(VariableArrayTypeLoc type) {
  SourceLocation location = type.getLBracketLoc();
  if (const VarDecl* constant = function_constant_in(type.getSizeExpr())) {
    report(Rule::function_constant_expression, location, {constant->getName().str(), "the size of an array"});
  } else {
    report(Rule::variable_length_array, location);
  }
  return true;
}

bool Visitor::VisitFloatingLiteral(FloatingLiteral* literal) {
  bool is_long = literal->getType()->isSpecificBuiltinType(BuiltinType::LongDouble);
  if ((is_long || literal->getType()->isSpecificBuiltinType(BuiltinType::Double)) &&
      text_.is_written(literal->getLocation())) {
    report(Rule::double_, literal->getLocation(),
           {is_long ? "this literal is a long double" : "this literal is a double"});
  }
  return true;
}

bool Visitor::VisitIntegerLiteral(IntegerLiteral* literal) {
  const auto* type = literal->getType()->getAs<BuiltinType>();
  bool is_long_long =
      type != nullptr && (type->getKind() == BuiltinType::LongLong || type->getKind() == BuiltinType::ULongLong);
  if (is_long_long && text_.is_written(literal->getLocation())) {
    report(Rule::long_long, literal->getLocation(), {"this literal is a long long"});
  }
  return true;
}

void Visitor::check_bfloat_conversion(QualType from, QualType to, const Expr* value, SourceLocation location) {
  bool to_bfloat = is_bfloat(to) && !is_bfloat(from);
  bool to_half = is_bfloat(from) && element(to)->isSpecificBuiltinType(BuiltinType::Float16);
  if ((to_bfloat || to_half) && text_.is_written(location)) {
    bool is_literal = isa<FloatingLiteral>(value->IgnoreParenImpCasts());
    const char* hint = is_literal && to_bfloat ? ", or give the literal the suffix bf: without one it is a float" : "";
    report(Rule::bfloat_conversion, location, {metal_name(from), metal_name(to), hint});
  }
}

bool Visitor::VisitCompoundAssignOperator(CompoundAssignOperator* assignment) {
  // x *= y means x = x * y, and the product of a bfloat and a float is a float.
  QualType result = assignment->getComputationResultType();
  QualType target = assignment->getLHS()->getType();
  if (!result.isNull() && !result->isDependentType() && !target->isDependentType() &&
      element(result)->isFloatingType()) {
    QualType other = assignment->getRHS()->IgnoreImpCasts()->getType();
    if (element(other)->isFloatingType()) {
      check_bfloat_conversion(element(other), element(target), assignment->getRHS(), assignment->getOperatorLoc());
    }
  }
  return true;
}

void Visitor::check_matrix(QualType type, SourceLocation location) {
  const auto* matrix = dyn_cast_or_null<ClassTemplateSpecializationDecl>(type->getAsCXXRecordDecl());
  bool is_matrix =
      matrix != nullptr && matrix->getName() == "simdgroup_matrix" && is_in_shim(matrix->getSpecializedTemplate());
  if (!is_matrix || matrix->getTemplateArgs().size() < 3 || type->isDependentType()) {
    return;
  }
  const TemplateArgumentList& arguments = matrix->getTemplateArgs();
  QualType entry = arguments[0].getAsType();
  bool fits = entry->isSpecificBuiltinType(BuiltinType::Float) || entry->isSpecificBuiltinType(BuiltinType::Float16) ||
              entry->isSpecificBuiltinType(BuiltinType::BFloat16);
  std::string name = "simdgroup_matrix<" + metal_name(entry);
  for (unsigned index : {1, 2}) {
    if (arguments[index].getKind() != TemplateArgument::Integral) {
      return;
    }
    llvm::APSInt size = arguments[index].getAsIntegral();
    fits = fits && size == 8;
    name += ", " + llvm::toString(size, 10);
  }
  if (!fits) {
    report(Rule::simdgroup_matrix, location, {name + ">"});
  }
}

bool Visitor::VisitInitListExpr(InitListExpr* list) {
  const CXXRecordDecl* record = list->getType().isNull() ? nullptr : list->getType()->getAsCXXRecordDecl();
  if (record == nullptr || !record->hasDefinition() || !text_.is_written(list->getLBraceLoc())) {
    return true;
  }
  if (record->getNumBases() > 0 && record->isAggregate() && list->getNumInits() > 0) {
    report(Rule::cxx17, list->getLBraceLoc(), {"an aggregate with a base class"});
  }
  if (record->getNumBases() == 0 && !record->isUnion()) {
    unsigned index = 0;
    for (const FieldDecl* field : record->fields()) {
      if (!field->isUnnamedBitField() && index < list->getNumInits()) {
        check_binding(field->getType(), list->getInit(index++));
      }
    }
  }
  return true;
}

} // namespace metalsim::strict
