// The rules as values; their table is rules.def.
#pragma once

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include <string>

namespace metalsim::strict {

enum class Rule {
#define METALSIM_RULE(identifier, name, section, title, accepted_from, sentence) identifier,
#include "rules.def"
#undef METALSIM_RULE
};

/// What Rule::matrix_elements says of all elements at once.
inline constexpr const char* kAsAWhole = "they are not vec<T, 2>, and cannot be used as a whole";

/// Whether the language version, as in __METAL_VERSION__, has what the rule refuses.
bool is_accepted(Rule rule, unsigned language_version);

/// The rule's sentence with its {0}, {1} ... filled in.
std::string sentence(Rule rule, llvm::ArrayRef<std::string> words);

/// `[metal-name, MSL 4.2 "Title"]`, which follows the sentence in a diagnostic.
std::string citation(Rule rule);

} // namespace metalsim::strict
