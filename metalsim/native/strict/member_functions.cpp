// Member functions: the address space of the object, and what `this` may be bound to.
//
// What is known of Apple's compiler, and from where:
// - Before Metal 4.1 `this` of a function without an address space is a thread pointer. A call on another object is
//   "address space mismatch in 'this' argument ('const device MyData'), parameter type must be 'const MyData'", and
//   Apple's way out is `float operator[](int i) device const`, once for each space (developer.apple.com/forums, thread
//   742665). MLX writes such overloads (gemv_masked.h, complex.h, logging.h). Copies that the compiler makes itself
//   exist for every space: its notes list an implicit operator= for each (KhronosGroup/SPIRV-Cross#1647).
// - From Metal 4.1 on it is `__metal_generic`, which leads to thread, threadgroup or device memory, and not to constant
//   memory (developer.apple.com, "Writing reusable GPU functions with generic pointers"). What it leads to does not
//   bind to `thread T&` ("reference to type 'thread float' could not bind to an lvalue of type '__metal_generic
//   float'": ml-explore/mlx#3963, WebKit/WebKit#69302), and a function that says `thread` cannot be called on it. A
//   constructor without an address space cannot make a member whose constructor says `thread`: "constructor for
//   'BlockMMA' must explicitly initialize the member 'Atile' which does not have a default constructor"
//   (pytorch/executorch#22981).
// - Constructors are no exception: MLX writes `complex64_t() threadgroup` beside `complex64_t() thread` for its
//   threadgroup arrays (complex.h). What `constant S s(1);` needs is not looked at.
// - MLX's fix writes `thread` on all constructors, operators, conversion functions and other member functions that are
//   not static, before `noexcept`, and repeats it on definitions outside of the class.
// Whether an explicit cast leads from generic to thread memory is not known; it is refused [J].
#include "visitor.h"

using namespace clang;

namespace metalsim::strict {
namespace {

/// A function of Metal's own types: Apple's header has `thread` on thread_elements(), and overloads for every address
/// space elsewhere.
bool is_thread_only(const CXXMethodDecl* method) {
  const IdentifierInfo* type = method->getParent()->getIdentifier();
  return type != nullptr && type->getName() == "simdgroup_matrix";
}

/// The functions that might be meant, had clang looked at the object's address space: overloads with as many
/// parameters, or that convert to the same type.
SmallVector<const CXXMethodDecl*, 4> alternatives(const CXXMethodDecl* method, bool is_const) {
  SmallVector<const CXXMethodDecl*, 4> found = {method};
  auto consider = [&](const NamedDecl* declaration) {
    const auto* other = dyn_cast_or_null<CXXMethodDecl>(declaration->getAsFunction());
    bool takes_object = other != nullptr && (isa<CXXConstructorDecl>(other) || other->isConst() || !is_const);
    if (takes_object && other->getNumParams() == method->getNumParams()) {
      found.push_back(other);
    }
  };
  if (const auto* conversion = dyn_cast<CXXConversionDecl>(method)) {
    for (const NamedDecl* declaration : method->getParent()->getVisibleConversionFunctions()) {
      const auto* other = dyn_cast_or_null<CXXConversionDecl>(declaration->getAsFunction());
      bool is_template = other != nullptr && other->getDescribedFunctionTemplate() != nullptr;
      if (is_template || (other != nullptr && other->getConversionType() == conversion->getConversionType())) {
        consider(declaration);
      }
    }
    return found;
  }
  for (const NamedDecl* declaration : method->getParent()->lookup(method->getDeclName())) {
    consider(declaration);
  }
  return found;
}

/// What the front end makes of `threadgroup T name;`: a reference to what a call of metalsim_threadgroup_variable
/// gives.
bool is_threadgroup_variable(const VarDecl* variable) {
  const auto* object = dyn_cast_or_null<UnaryOperator>(variable->getInit());
  const auto* cast = object == nullptr ? nullptr : dyn_cast<CStyleCastExpr>(object->getSubExpr());
  const auto* call = cast == nullptr ? nullptr : dyn_cast<CallExpr>(cast->getSubExpr()->IgnoreImpCasts());
  const FunctionDecl* callee = call == nullptr ? nullptr : call->getDirectCallee();
  return callee != nullptr && callee->getIdentifier() != nullptr &&
         callee->getName() == "metalsim_threadgroup_variable";
}

bool is_user_provided(const CXXMethodDecl* method) {
  return !method->isImplicit() && method->isUserProvided();
}

} // namespace

void Visitor::report_generic_this(SourceLocation location, const std::string& problem) {
  report(Rule::generic_this, location, {problem, function_->getNameAsString()});
}

void Visitor::check_object(const CXXMethodDecl* method, const Expr* object, SourceLocation location) {
  if (method->isStatic() || !is_user_provided(method) || method->getParent()->isLambda() ||
      object->getType()->isDependentType()) {
    return;
  }
  bool is_pointer = object->getType()->isPointerType();
  ObjectSpace self = spaces_.of_this(function_);
  ObjectSpace space = is_pointer ? spaces_.of_pointee(object, self) : spaces_.of_object(object, self);
  if (is_in_shim(method)) {
    if (is_thread_only(method) && space == kGeneric) {
      report_generic_this(location, "'" + method->getNameAsString() + "' serves thread objects only");
    }
    return;
  }
  bool is_const = (is_pointer ? object->getType()->getPointeeType() : object->getType()).isConstQualified();
  unsigned served = 0;
  for (const CXXMethodDecl* candidate : alternatives(method, is_const)) {
    served |= spaces_.served_by(candidate);
  }
  if ((served & space) != 0) {
    return;
  }
  if (space == kGeneric) {
    report_generic_this(location, "'" + method->getNameAsString() + "' does not serve generic objects");
    return;
  }
  report(Rule::method_address_space, location, {"'" + method->getNameAsString() + "'", metal_name(space)});
}

void Visitor::check_method_arguments(CallExpr* call) {
  const FunctionDecl* callee = call->getDirectCallee();
  const auto* method = dyn_cast_or_null<CXXMethodDecl>(callee);
  unsigned first = 0;
  if (method != nullptr) {
    if (const auto* member = dyn_cast<CXXMemberCallExpr>(call)) {
      check_object(method, member->getImplicitObjectArgument(), call->getExprLoc());
    } else if (isa<CXXOperatorCallExpr>(call) && !method->isStatic()) {
      check_object(method, call->getArg(0), call->getExprLoc());
      first = 1;
    }
    if (!is_user_provided(method)) {
      return; // `operator=` that clang makes takes an object of any address space
    }
  }
  for (unsigned index = first; callee != nullptr && index < call->getNumArgs(); index++) {
    unsigned parameter = index - first;
    if (parameter < callee->getNumParams()) {
      QualType type = callee->getParamDecl(parameter)->getType();
      // Where the shim has `T const&` Metal's library takes a value.
      bool is_value = is_in_shim(callee) && type->isReferenceType() && type->getPointeeType().isConstQualified();
      if (!is_value) {
        check_binding(type, call->getArg(index));
      }
    }
  }
}

void Visitor::check_construction(const CXXConstructExpr* construction) {
  const CXXConstructorDecl* constructor = construction->getConstructor();
  unsigned count = std::min(construction->getNumArgs(), constructor->getNumParams());
  for (unsigned index = 0; index < count; index++) {
    check_binding(constructor->getParamDecl(index)->getType(), construction->getArg(index));
  }
}

void Visitor::check_member_initializers(const CXXConstructorDecl* constructor) {
  if (!is_user_provided(constructor) || constructor->isDependentContext()) {
    return;
  }
  ObjectSpace self = spaces_.of_this(constructor);
  FunctionDecl* outer = std::exchange(function_, const_cast<CXXConstructorDecl*>(constructor));
  for (const CXXCtorInitializer* initializer : constructor->inits()) {
    const Expr* value = initializer->getInit();
    if (value == nullptr) {
      continue;
    }
    if (initializer->isAnyMemberInitializer()) {
      check_binding(initializer->getAnyMember()->getType(), value);
    }
    const auto* made = dyn_cast<CXXConstructExpr>(value->IgnoreImplicit());
    const CXXConstructorDecl* maker = made == nullptr ? nullptr : made->getConstructor();
    if (maker != nullptr && is_user_provided(maker) && !is_in_shim(maker) && (spaces_.served_by(maker) & self) == 0) {
      std::string name = maker->getParent()->getNameAsString();
      SourceLocation location =
          initializer->isWritten() ? initializer->getSourceLocation() : constructor->getLocation();
      if (self == kGeneric) {
        report_generic_this(location, "the constructor of '" + name + "' does not serve generic objects");
      } else {
        report(Rule::method_address_space, location, {"the constructor of '" + name + "'", metal_name(self)});
      }
    }
  }
  function_ = outer;
}

void Visitor::check_threadgroup_object(const VarDecl* variable) {
  const CXXRecordDecl* record =
      is_threadgroup_variable(variable)
          ? ast_.getBaseElementType(variable->getType()->getPointeeType())->getAsCXXRecordDecl()
          : nullptr;
  if (record == nullptr || !record->hasDefinition() || is_in_shim(record)) {
    return;
  }
  for (const CXXConstructorDecl* constructor : record->ctors()) {
    if (constructor->isDefaultConstructor() && is_user_provided(constructor) &&
        (spaces_.served_by(constructor) & kThreadgroup) == 0) {
      report(Rule::method_address_space, variable->getLocation(),
             {"the constructor of '" + record->getNameAsString() + "'", metal_name(kThreadgroup)});
    }
  }
}

void Visitor::check_binding(QualType target, const Expr* value) {
  bool is_pointer = target->isPointerType();
  bool leads_to_memory = is_pointer || target->isReferenceType();
  if (!leads_to_memory || value->getType().isNull() || value->getType()->isDependentType() ||
      target->isDependentType() || pointee_space(target) != LangAS::Default || (!is_pointer && !value->isGLValue()) ||
      (is_pointer && !value->getType()->isPointerType() && !value->getType()->isArrayType())) {
    return;
  }
  ObjectSpace self = spaces_.of_this(function_);
  ObjectSpace space = is_pointer ? spaces_.of_pointee(value, self) : spaces_.of_object(value, self);
  if (space == kGeneric) {
    report_generic_this(value->getExprLoc(), is_pointer ? "a thread pointer cannot hold its addresses"
                                                        : "a thread reference does not bind to it");
  } else if (space == self && self != kThread) {
    // clang sees no conversion where a function for `device` objects binds a member to `thread T&`.
    report(Rule::address_space_conversion, value->getExprLoc(), {metal_name(space), "thread"});
  }
}

bool Visitor::VisitReturnStmt(ReturnStmt* statement) {
  if (function_ != nullptr && statement->getRetValue() != nullptr) {
    check_binding(function_->getReturnType(), statement->getRetValue());
  }
  return true;
}

bool Visitor::VisitBinaryOperator(BinaryOperator* operation) {
  if (operation->getOpcode() == BO_Assign && operation->getLHS()->getType()->isPointerType()) {
    check_binding(operation->getLHS()->getType(), operation->getRHS());
  }
  return true;
}

} // namespace metalsim::strict
