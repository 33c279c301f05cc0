// Names that cannot be declared, because they are Metal's: words that the shim has typedefs for, and types that Apple's
// headers declare for no other purpose than to keep their names. (The words that are macros of the shim, or nothing in
// it, are the front end's: frontend/rewrites/reserved_words.py.)
#include "visitor.h"

#include "llvm/ADT/StringSwitch.h"

using namespace clang;

namespace metalsim::strict {
namespace {

/// Types of the compiler, not of a header: a local variable or a member cannot hide them.
bool is_builtin_type(llvm::StringRef name) {
  return name == "half" || name == "bfloat";
}

/// float8, packed_uchar16, double2.
bool is_reserved_vector(llvm::StringRef name) {
  llvm::StringRef element = name.rtrim("0123456789");
  llvm::StringRef width = name.drop_front(element.size());
  element.consume_front("packed_");
  bool is_wide = width == "8" || width == "16";
  bool is_any = is_wide || width == "2" || width == "3" || width == "4";
  return llvm::StringSwitch<bool>(element)
      .Cases("bool", "char", "uchar", "short", "ushort", "int", "uint", "long", "ulong", is_wide)
      .Cases("half", "float", is_wide)
      .Cases("double", "quad", "llong", "ullong", is_any)
      .Case("bfloat", width == "16")
      .Default(false);
}

bool is_reserved_type(llvm::StringRef name) {
  return llvm::StringSwitch<bool>(name)
      .Cases("llong", "ullong", "quad", "complex", "imaginary", true)
      .Default(is_reserved_vector(name));
}

/// At program scope or in namespace metal, where Apple's headers declare the types.
bool is_in_scope_of_headers(const NamedDecl* declaration) {
  const DeclContext* scope = declaration->getDeclContext()->getRedeclContext();
  const auto* space = dyn_cast<NamespaceDecl>(scope);
  return scope->isTranslationUnit() || (space != nullptr && space->getName() == "metal" &&
                                        space->getParent()->getRedeclContext()->isTranslationUnit());
}

} // namespace

bool Visitor::VisitNamedDecl(NamedDecl* declaration) {
  SourceLocation location = declaration->getLocation();
  if (declaration->getIdentifier() == nullptr || !text_.is_written(location)) {
    return true;
  }
  llvm::StringRef name = declaration->getName();
  if (is_builtin_type(name)) {
    report(Rule::reserved_name, location, {name.str()});
  } else if (is_reserved_type(name) && !declaration->isTemplateParameter() && is_in_scope_of_headers(declaration)) {
    report(Rule::reserved_type, location, {name.str()});
  }
  return true;
}

} // namespace metalsim::strict
