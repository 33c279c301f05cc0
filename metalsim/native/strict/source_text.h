// The translated text as its author wrote it: which places are his, and words that the shim's macros hide from the AST.
//
// The text of a Metal file, with all that it includes, is the compiler's main file; the shim is a precompiled header.
// So the main file tells the author's code from the shim's, and line markers say where in the .metal file a place is.
#pragma once

#include "clang/Basic/LangOptions.h"
#include "clang/Basic/SourceManager.h"
#include "llvm/ADT/StringSet.h"
#include <vector>

namespace metalsim::strict {

class SourceText {
public:
  SourceText(const clang::SourceManager& sources, const clang::LangOptions& language);

  /// The place is in the Metal source, if only as an argument or a use of one of the shim's macros.
  bool is_user(clang::SourceLocation location) const;

  /// The Metal source has the very token.
  bool is_written(clang::SourceLocation location) const;

  /// Whether the declaration specifiers around `begin`, or what follows up to `end`, hold the word `thread`. The shim
  /// makes nothing of it, because a pointer without an address space is clang's thread pointer.
  bool says_thread(clang::SourceLocation begin, clang::SourceLocation end) const;

  /// Whether an address space stands among the declaration specifiers before or after the name of a type.
  bool says_address_space(clang::SourceLocation name) const;

  /// The first name of a function constant in the line of `location`, or an empty string.
  llvm::StringRef function_constant_at(clang::SourceLocation location) const;

  /// The same, in the template arguments that follow the name at `location`.
  llvm::StringRef function_constant_in_arguments(clang::SourceLocation location) const;

  bool is_function_constant(llvm::StringRef name) const { return function_constants_.contains(name); }

  /// The identifier at `location`, or an empty string.
  llvm::StringRef identifier_at(clang::SourceLocation location) const;

  /// What `#define METALSIM_LANGUAGE_VERSION` says, or 0.
  unsigned language_version() const { return language_version_; }

private:
  struct Token {
    unsigned offset;
    llvm::StringRef text;
  };

  size_t token_at(unsigned offset) const;
  unsigned offset(clang::SourceLocation location) const;

  const clang::SourceManager& sources_;
  std::vector<Token> tokens_;
  llvm::StringSet<> function_constants_;
  unsigned language_version_ = 0;
};

} // namespace metalsim::strict
