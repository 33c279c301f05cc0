// Where objects are in Metal: what `this` leads to has an address space that clang's types do not show, since a member
// function serves objects in every address space there (see METALSIM_OBJECTS).
#pragma once

#include "clang/AST/DeclCXX.h"
#include "clang/AST/Expr.h"
#include <string>

namespace metalsim::strict {

/// Bits, so that they make sets. `generic` is where `this` of a function without an address space leads from Metal 4.1
/// on: thread, threadgroup or device memory.
enum ObjectSpace : unsigned { kThread = 1, kDevice = 2, kThreadgroup = 4, kConstant = 8, kGeneric = 16 };

const char* metal_name(ObjectSpace space);

class ObjectSpaces {
public:
  explicit ObjectSpaces(bool has_generic) : unqualified_(has_generic ? kGeneric : kThread) {}

  /// Where `this` of the function leads; `thread` if it has none.
  ObjectSpace of_this(const clang::FunctionDecl* function) const;

  /// The address spaces that the function and overloads which differ in nothing else can be called in.
  unsigned served_by(const clang::FunctionDecl* method) const;

  /// Where an lvalue is, in a function whose `this` leads to `self`.
  ObjectSpace of_object(const clang::Expr* object, ObjectSpace self) const;

  /// Where a pointer leads.
  ObjectSpace of_pointee(const clang::Expr* pointer, ObjectSpace self) const;

private:
  ObjectSpace unqualified_;
};

} // namespace metalsim::strict
