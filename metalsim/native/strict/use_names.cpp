// See use_names.h.
#include "use_names.h"
#include "metal_names.h"

#include "clang/AST/DeclTemplate.h"
#include "llvm/ADT/StringExtras.h"
#include <vector>

using namespace clang;

namespace metalsim::strict {

std::string name_of_class(const CXXRecordDecl* record) {
  const auto* specialization = dyn_cast<ClassTemplateSpecializationDecl>(record);
  std::string name = record->getNameAsString();
  if (specialization == nullptr) {
    return name;
  }
  std::vector<std::string> arguments;
  for (const TemplateArgument& argument : specialization->getTemplateArgs().asArray()) {
    if (argument.getKind() == TemplateArgument::Type) {
      arguments.push_back(name_of(argument.getAsType()));
    } else if (argument.getKind() == TemplateArgument::Integral) {
      arguments.push_back(llvm::toString(argument.getAsIntegral(), 10));
    }
  }
  if (name == "PackedVector") {
    return "packed_" + llvm::join(arguments, "");
  }
  if (name == "BoolVector") {
    return "bool" + llvm::join(arguments, "");
  }
  return name + "<" + llvm::join(arguments, ", ") + ">";
}

std::string name_of(QualType type) {
  type = type.getNonReferenceType().getCanonicalType().getUnqualifiedType();
  if (type->isPointerType()) {
    return metal_name(pointee_space(type)) + " " + name_of(type->getPointeeType()) + "*";
  }
  if (const ArrayType* array = type->getAsArrayTypeUnsafe()) {
    return name_of(array->getElementType()) + "[]";
  }
  if (const CXXRecordDecl* record = type->getAsCXXRecordDecl()) {
    return name_of_class(record);
  }
  if (type->isBooleanType()) {
    return "bool";
  }
  return type->isUnscopedEnumerationType() ? "enum" : metal_name(type);
}

} // namespace metalsim::strict
