// See metal_names.h.
#include "metal_names.h"

#include "clang/AST/PrettyPrinter.h"

using namespace clang;

namespace metalsim::strict {

std::string metal_name(LangAS space) {
  switch (space) {
  case LangAS::sycl_global:
    return "device";
  case LangAS::sycl_global_host:
    return "constant";
  case LangAS::sycl_local:
    return "threadgroup";
  default:
    return "thread";
  }
}

const ExtVectorType* matrix_elements(QualType type) {
  const auto* vector = type.getNonReferenceType()->getAs<ExtVectorType>();
  return vector != nullptr && vector->getNumElements() == 64 ? vector : nullptr;
}

std::string metal_name(QualType type) {
  type = type.getNonReferenceType().getUnqualifiedType();
  if (const auto* vector = type->getAs<ExtVectorType>()) {
    std::string length = std::to_string(vector->getNumElements());
    std::string element = metal_name(vector->getElementType());
    return matrix_elements(type) != nullptr ? "vec<" + element + ", " + length + ">" : element + length;
  }
  if (type->isSpecificBuiltinType(BuiltinType::BFloat16)) {
    return "bfloat";
  }
  if (type->isSpecificBuiltinType(BuiltinType::Float16)) {
    return "half";
  }
  LangOptions language;
  language.CPlusPlus = true;
  PrintingPolicy policy(language);
  policy.SuppressScope = true;
  policy.SuppressTagKeyword = true;
  std::string text = type.getAsString(policy);
  const std::string is_unsigned = "unsigned ";
  return text.rfind(is_unsigned, 0) == 0 ? "u" + text.substr(is_unsigned.size()) : text;
}

std::string in_metal_words(StringRef message) {
  const std::pair<StringRef, StringRef> names[] = {
      {"const __global_host", "constant"}, {"__global_host", "constant"}, {"__global", "device"},
      {"__local", "threadgroup"},          {"_Float16", "half"},          {"__bf16", "bfloat"}};
  std::string text = message.str();
  for (const auto& [clang_name, name] : names) {
    for (size_t at = text.find(clang_name); at != std::string::npos; at = text.find(clang_name, at + name.size())) {
      text.replace(at, clang_name.size(), name);
    }
  }
  return text;
}

LangAS space_of(QualType type) {
  // An array of a typedef has the address space itself, and any other array has it on its elements.
  while (type.getAddressSpace() == LangAS::Default && type->isArrayType()) {
    type = type->getAsArrayTypeUnsafe()->getElementType();
  }
  return type.getAddressSpace();
}

LangAS pointee_space(QualType type) {
  return space_of(type->getPointeeType());
}

} // namespace metalsim::strict
