// Which of the errors that clang reports on its own are rules of Metal.
#include "findings.h"
#include "metal_names.h"

#include "clang/Basic/AllDiagnostics.h"
#include "llvm/ADT/StringSwitch.h"

using namespace clang;

namespace metalsim::strict {
namespace {

/// Features of C++17 that clang refuses, and not only warns about, when it compiles C++14. Apple's compiler is a clang,
/// and MLX passes it -Wno-c++17-extensions and uses `if constexpr` at Metal 3.1: what clang takes as an extension is
/// accepted.
const char* cxx17_feature(unsigned id) {
  switch (id) {
  case diag::warn_cxx14_compat_class_template_argument_deduction:
    return "deducing the arguments of a class template";
  case diag::warn_cxx14_compat_template_nontype_parm_auto_type:
    return "a template parameter declared with auto";
  case diag::warn_cxx14_compat_u8_character_literal:
    return "a u8 character literal";
  default:
    return nullptr;
  }
}

bool is_cxx20_word(StringRef word) {
  return llvm::StringSwitch<bool>(word)
      .Cases("concept", "requires", "consteval", "constinit", "char8_t", true)
      .Cases("co_await", "co_return", "co_yield", true)
      .Default(false);
}

bool is_undeclared(unsigned id) {
  switch (id) {
  case diag::err_undeclared_var_use:
  case diag::err_undeclared_var_use_suggest:
  case diag::err_undeclared_use:
  case diag::err_undeclared_use_suggest:
  case diag::err_unknown_typename:
  case diag::err_unknown_typename_suggest:
  case diag::err_no_member:
  case diag::err_no_member_suggest:
  case diag::err_not_found_by_two_phase_lookup:
  case diag::err_no_template:
  case diag::err_no_template_suggest:
    return true;
  default:
    return false;
  }
}

/// Errors whose rule follows from what they are about.
std::optional<Rule> rule_of(unsigned id) {
  switch (id) {
  case diag::err_typecheck_assign_const:
    return Rule::constant_write;
  case diag::err_reference_bind_to_vector_element:
    return Rule::vector_element_reference;
  case diag::err_typecheck_duplicate_vector_components_not_mlvalue:
  case diag::err_ext_vector_component_exceeds_length:
  case diag::err_ext_vector_component_name_illegal:
    return Rule::vector_component;
  case diag::err_ovl_no_viable_function_in_call:
  case diag::err_ovl_no_viable_member_function_in_call:
  case diag::err_ovl_no_viable_function_in_init:
  case diag::err_ovl_ambiguous_call:
  case diag::err_ovl_ambiguous_member_call:
  case diag::err_ovl_no_viable_oper:
    return Rule::overload;
  case diag::err_typecheck_convert_incompatible:
  case diag::err_typecheck_nonviable_condition:
  case diag::err_ovl_no_conversion_in_cast:
  case diag::err_ovl_no_viable_conversion_in_cast:
  case diag::err_init_conversion_failed:
  case diag::err_typecheck_vector_not_convertable:
  case diag::err_typecheck_vector_lengths_not_equal:
  case diag::err_typecheck_vector_not_convertable_non_scalar:
  case diag::err_typecheck_vector_not_convertable_implict_truncation:
  case diag::err_typecheck_invalid_operands:
  case diag::err_invalid_conversion_between_vectors:
  case diag::err_invalid_conversion_between_ext_vectors:
  case diag::err_invalid_conversion_between_vector_and_integer:
  case diag::err_invalid_conversion_between_vector_and_scalar:
    return Rule::conversion;
  case diag::err_need_header_before_typeid:
  case diag::err_no_typeid_with_fno_rtti:
    return Rule::typeid_;
  case diag::err_no_dynamic_cast_with_fno_rtti:
    return Rule::dynamic_cast_;
  case diag::err_exceptions_disabled:
    return Rule::exceptions;
  case diag::err_as_qualified_auto_decl:
  case diag::err_field_with_address_space:
  case diag::err_arg_with_address_space:
    return Rule::address_space_place;
  case diag::ext_init_list_type_narrowing:
  case diag::ext_init_list_constant_narrowing:
  case diag::ext_init_list_variable_narrowing:
  case diag::ext_cce_narrowing:
    return Rule::narrowing;
  case diag::err_constexpr_var_requires_const_init:
    return Rule::constexpr_;
  case diag::err_need_header_before_placement_new:
    return Rule::placement_new;
  default:
    return std::nullopt;
  }
}

/// The types that a diagnostic speaks of, the target of a conversion first.
SmallVector<QualType, 2> types_in(const Diagnostic& diagnostic, StringRef message) {
  SmallVector<QualType, 2> types;
  for (unsigned index = 0; index < diagnostic.getNumArgs(); index++) {
    if (diagnostic.getArgKind(index) == DiagnosticsEngine::ak_qualtype) {
      types.push_back(QualType::getFromOpaquePtr(reinterpret_cast<void*>(diagnostic.getRawArg(index))));
    }
  }
  bool target_is_first = message.starts_with("assigning") || message.starts_with("initializing") ||
                         message.starts_with("cannot initialize");
  if (types.size() == 2 && !target_is_first) {
    std::swap(types[0], types[1]);
  }
  return types;
}

bool is_bfloat(QualType type) {
  return type->isSpecificBuiltinType(BuiltinType::BFloat16);
}

bool leads_to_memory(QualType type) {
  return type->isPointerType() || type->isReferenceType() || type->isArrayType();
}

LangAS memory_space(QualType type) {
  return type->isArrayType() ? space_of(type) : pointee_space(type);
}

/// A conversion that clang refuses, where Metal has a rule of its own for it.
std::optional<Classification> classify_conversion(const Diagnostic& diagnostic, StringRef message) {
  SmallVector<QualType, 2> types = types_in(diagnostic, message);
  if (types.size() != 2 || types[0]->isDependentType() || types[1]->isDependentType()) {
    return std::nullopt;
  }
  QualType target = types[0];
  QualType source = types[1];
  if (matrix_elements(target) != nullptr || matrix_elements(source) != nullptr) {
    return Classification{Rule::matrix_elements, sentence(Rule::matrix_elements, {kAsAWhole})};
  }
  if (target->isExtVectorType() && source->isExtVectorType()) {
    return Classification{Rule::vector_conversion,
                          sentence(Rule::vector_conversion, {metal_name(source), metal_name(target)})};
  }
  if (is_bfloat(source) || is_bfloat(target)) {
    return Classification{Rule::bfloat_conversion,
                          sentence(Rule::bfloat_conversion, {metal_name(source), metal_name(target), ""})};
  }
  bool is_memory = leads_to_memory(target) && leads_to_memory(source);
  if (is_memory && memory_space(target) != memory_space(source)) {
    bool is_cast = message.contains("-style cast from ") || message.contains("_cast from ");
    Rule rule = is_cast ? Rule::address_space_cast : Rule::address_space_conversion;
    return Classification{rule, sentence(rule, {metal_name(memory_space(source)), metal_name(memory_space(target))})};
  }
  return std::nullopt;
}

/// A static assertion of the shim: which header it is in says what it is about.
std::optional<Rule> rule_of_shim_header(StringRef file) {
  StringRef header = file.rsplit('/').second;
  return llvm::StringSwitch<std::optional<Rule>>(header)
      .Case("as_type.h", Rule::as_type)
      .Case("construct.h", Rule::vector_constructor)
      .Case("matrix.h", Rule::matrix)
      .Case("simdgroup_matrix.h", Rule::simdgroup_matrix)
      .Default(std::nullopt);
}

Classification classify_static_assertion(const Diagnostic& diagnostic, StringRef message) {
  std::string file = diagnostic.getSourceManager().getFilename(diagnostic.getLocation()).str();
  std::optional<Rule> rule = rule_of_shim_header(file);
  if (rule == Rule::simdgroup_matrix && message.contains("product")) {
    rule = Rule::simdgroup_product;
  }
  // "static assertion failed due to requirement '...': what it says"
  StringRef reason = message.rsplit("': ").second;
  return {rule, (reason.empty() ? message : reason).str()};
}

const char* constant_expression_use(StringRef message) {
  if (message.contains("case value")) {
    return "the value of a case";
  }
  if (message.contains("template argument")) {
    return "a template argument";
  }
  if (message.contains("array")) {
    return "the size of an array";
  }
  return "part of a constant expression";
}

} // namespace

Classification classify(const Diagnostic& diagnostic, StringRef message, const SourceText& text) {
  auto made = [](Rule rule, std::vector<std::string> words) { return Classification{rule, sentence(rule, words)}; };
  unsigned id = diagnostic.getID();
  SourceLocation location = diagnostic.getLocation();
  StringRef identifier = text.identifier_at(location);
  if (const char* feature = cxx17_feature(id)) {
    return made(Rule::cxx17, {feature});
  }
  if (is_cxx20_word(identifier)) {
    return made(Rule::cxx20, {identifier.str()});
  }
  if (id == diag::ext_register_storage_class) {
    return made(Rule::register_, {identifier.str()});
  }
  if (id == diag::err_default_init_const) {
    return made(Rule::constant_initializer, {identifier.str()});
  }
  StringRef constant = text.function_constant_in_arguments(location);
  if (!constant.empty() && rule_of(id) == Rule::overload) {
    return made(Rule::function_constant_expression, {constant.str(), "a template argument"});
  }
  constant = text.function_constant_at(location);
  if (message.contains("constant expression") && !constant.empty()) {
    return made(Rule::function_constant_expression, {constant.str(), constant_expression_use(message)});
  }
  if (is_undeclared(id)) {
    return identifier == "std" || message.contains("namespace 'std'") ? made(Rule::std_namespace, {})
                                                                      : made(Rule::undeclared, {message.str()});
  }
  if (id == diag::err_bad_static_cast_overload && message.contains("::metalsim::shim::Pointer<")) {
    return made(Rule::instantiation, {message.split('\'').second.split('\'').first.str()});
  }
  if (id == diag::err_typecheck_address_of && message.contains("vector element")) {
    return made(Rule::vector_element_reference, {});
  }
  if (id == diag::err_static_assert_failed || id == diag::err_static_assert_requirement_failed) {
    return classify_static_assertion(diagnostic, message);
  }
  if (std::optional<Classification> conversion = classify_conversion(diagnostic, message)) {
    return *conversion;
  }
  if (std::optional<Rule> rule = rule_of(id)) {
    return made(*rule, {message.str()});
  }
  return {std::nullopt, message.str()};
}

void enable_warnings(DiagnosticsEngine& diagnostics) {
  const unsigned features[] = {diag::warn_cxx14_compat_class_template_argument_deduction,
                               diag::warn_cxx14_compat_template_nontype_parm_auto_type,
                               diag::warn_cxx14_compat_u8_character_literal};
  for (unsigned id : features) {
    diagnostics.setSeverity(id, diag::Severity::Warning, SourceLocation());
  }
  // Errors by default, which -Wno-everything silences.
  const unsigned errors[] = {diag::ext_register_storage_class,
                             diag::ext_init_list_type_narrowing,
                             diag::ext_init_list_constant_narrowing,
                             diag::ext_init_list_variable_narrowing,
                             diag::ext_cce_narrowing,
                             diag::ext_return_has_expr,
                             diag::ext_return_missing_expr,
                             diag::warn_return_missing_expr};
  for (unsigned id : errors) {
    diagnostics.setSeverity(id, diag::Severity::Error, SourceLocation());
  }
}

} // namespace metalsim::strict
