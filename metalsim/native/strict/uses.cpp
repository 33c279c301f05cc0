// See uses.h.
#include "uses.h"
#include "metal_names.h"
#include "use_names.h"

#include "clang/AST/RecursiveASTVisitor.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/raw_ostream.h"

using namespace clang;

namespace metalsim::strict {
namespace {

bool is_vector(QualType type) {
  return type.getNonReferenceType()->isExtVectorType();
}

bool is_narrow_float(QualType type) {
  type = type.getNonReferenceType();
  return type->isSpecificBuiltinType(BuiltinType::Float16) || type->isSpecificBuiltinType(BuiltinType::BFloat16);
}

/// The argument is an object that is there for the call alone. Clang's own ways past casts go past this, too.
bool is_temporary(const Expr* argument) {
  while (const auto* cast = dyn_cast<ImplicitCastExpr>(argument)) {
    argument = cast->getSubExpr();
  }
  return isa<MaterializeTemporaryExpr>(argument);
}

bool is_of_library(QualType type) {
  return is_vector(type) || is_narrow_float(type);
}

class Uses : public RecursiveASTVisitor<Uses> {
public:
  Uses(ASTContext& ast, const SourceText& text, llvm::raw_ostream& output) : ast_(ast), text_(text), output_(output) {}

  bool shouldVisitTemplateInstantiations() const { return true; }

  // Types.
  bool VisitTypedefTypeLoc(TypedefTypeLoc type) { return named_type(type.getTypedefNameDecl(), type.getNameLoc()); }
  bool VisitUsingTypeLoc(UsingTypeLoc type) {
    return named_type(type.getFoundDecl()->getTargetDecl(), type.getNameLoc());
  }
  bool VisitTagTypeLoc(TagTypeLoc type) { return named_type(type.getDecl(), type.getNameLoc()); }
  bool VisitTemplateSpecializationTypeLoc(TemplateSpecializationTypeLoc type);

  // Calls and constants.
  bool VisitCallExpr(CallExpr* call);
  bool VisitCXXConstructExpr(CXXConstructExpr* construction);
  bool VisitDeclRefExpr(DeclRefExpr* reference);

  // Operators, components and conversions.
  bool VisitBinaryOperator(BinaryOperator* operation);
  bool VisitUnaryOperator(UnaryOperator* operation);
  bool VisitConditionalOperator(ConditionalOperator* operation);
  bool VisitExtVectorElementExpr(ExtVectorElementExpr* element);
  bool VisitArraySubscriptExpr(ArraySubscriptExpr* subscript);
  bool VisitImplicitCastExpr(ImplicitCastExpr* cast);
  bool VisitExplicitCastExpr(ExplicitCastExpr* cast);

  // Forms.
  bool VisitVarDecl(VarDecl* variable);
  bool VisitFieldDecl(FieldDecl* field);
  bool VisitCXXConstructorDecl(CXXConstructorDecl* constructor);
  bool VisitEnumDecl(EnumDecl* enumeration);
  bool VisitNamespaceDecl(NamespaceDecl* space);
  bool VisitFunctionTemplateDecl(FunctionTemplateDecl* function);

private:
  bool use(SourceLocation location, const llvm::Twine& key);
  bool named_type(const NamedDecl* declaration, SourceLocation location);
  bool is_in_shim(const Decl* declaration) const { return !text_.is_user(declaration->getLocation()); }
  bool depends_on_function_constants(const Stmt* expression) const;
  void note_temporaries(const FunctionDecl* callee, llvm::ArrayRef<const Expr*> arguments);
  void note_function(const CallExpr* call, const FunctionDecl* callee);
  void note_made(SourceLocation location, QualType made, const std::vector<std::string>& parts);

  ASTContext& ast_;
  const SourceText& text_;
  llvm::raw_ostream& output_;
  llvm::StringSet<> seen_;
};

/// True, so that visitors can end with it.
bool Uses::use(SourceLocation location, const llvm::Twine& key) {
  if (text_.is_user(location)) {
    PresumedLoc place = ast_.getSourceManager().getPresumedLoc(ast_.getSourceManager().getExpansionLoc(location));
    std::string line = (place.getFilename() + llvm::Twine(":") + llvm::Twine(place.getLine()) + "\t" + key).str();
    if (seen_.insert(line).second) {
      output_ << line << '\n';
    }
  }
  return true;
}

bool Uses::named_type(const NamedDecl* declaration, SourceLocation location) {
  if (text_.is_written(location) && is_in_shim(declaration)) {
    use(location, "type " + declaration->getName());
  }
  return true;
}

bool Uses::VisitTemplateSpecializationTypeLoc(TemplateSpecializationTypeLoc type) {
  QualType canonical = type.getType().getCanonicalType();
  if (canonical->isDependentType() || !text_.is_written(type.getTemplateNameLoc())) {
    return true;
  }
  if (const auto* vector = canonical->getAs<ExtVectorType>()) {
    return use(type.getTemplateNameLoc(),
               "type vec<" + name_of(vector->getElementType()) + ", " + llvm::Twine(vector->getNumElements()) + ">");
  }
  const CXXRecordDecl* record = canonical->getAsCXXRecordDecl();
  if (record != nullptr && is_in_shim(record)) {
    use(type.getTemplateNameLoc(), "type " + name_of_class(record));
  }
  return true;
}

/// A constructor call T(...), written by the front end as Make<T>::from(...), or T's own.
void Uses::note_made(SourceLocation location, QualType made, const std::vector<std::string>& parts) {
  if (parts.size() == 1) {
    use(location, "conversion " + parts[0] + " -> " + name_of(made));
  } else {
    use(location, "constructor " + name_of(made) + "(" + llvm::join(parts, ", ") + ")");
  }
}

void Uses::note_temporaries(const FunctionDecl* callee, llvm::ArrayRef<const Expr*> arguments) {
  if (is_in_shim(callee)) {
    return; // its references stand for values
  }
  for (unsigned index = 0; index < std::min<size_t>(arguments.size(), callee->getNumParams()); ++index) {
    QualType type = callee->getParamDecl(index)->getType();
    if (type->isReferenceType() && is_temporary(arguments[index])) {
      use(arguments[index]->getExprLoc(), "form temporary bound to const " + metal_name(pointee_space(type)) + "&");
    }
  }
}

void Uses::note_function(const CallExpr* call, const FunctionDecl* callee) {
  std::string name = callee->getNameAsString();
  if (const auto* method = dyn_cast<CXXMethodDecl>(callee)) {
    name = name_of_class(method->getParent()) + "::" + name;
  } else {
    // fast:: and precise:: are part of the name
    for (const DeclContext* outer = callee->getDeclContext(); outer != nullptr; outer = outer->getParent()) {
      const auto* space = dyn_cast<NamespaceDecl>(outer);
      if (space != nullptr && space->getName() != "metal") {
        name = space->getNameAsString() + "::" + name;
      }
    }
  }
  const auto* written = dyn_cast<DeclRefExpr>(call->getCallee()->IgnoreParenImpCasts());
  const TemplateArgumentList* arguments = callee->getTemplateSpecializationArgs();
  if (written != nullptr && arguments != nullptr && written->hasExplicitTemplateArgs()) {
    std::vector<std::string> names;
    for (const TemplateArgument& argument : arguments->asArray().take_front(written->getNumTemplateArgs())) {
      names.push_back(argument.getKind() == TemplateArgument::Type ? name_of(argument.getAsType())
                                                                   : llvm::toString(argument.getAsIntegral(), 10));
    }
    name += "<" + llvm::join(names, ", ") + ">";
  }
  std::vector<std::string> parameters;
  for (const ParmVarDecl* parameter : callee->parameters()) {
    parameters.push_back(name_of(parameter->getType()));
  }
  use(call->getExprLoc(), "function " + name + "(" + llvm::join(parameters, ", ") + ")");
}

bool Uses::VisitCallExpr(CallExpr* call) {
  const FunctionDecl* callee = call->getDirectCallee();
  if (callee == nullptr || call->isTypeDependent()) {
    return true;
  }
  const auto* operation = dyn_cast<CXXOperatorCallExpr>(call);
  if (operation == nullptr) {
    note_temporaries(callee, llvm::ArrayRef<const Expr*>(call->getArgs(), call->getNumArgs()));
  }
  if (!is_in_shim(callee) || callee->getBuiltinID() != 0 || callee->isDefaulted()) {
    return true;
  }
  if (operation != nullptr) {
    std::vector<std::string> operands;
    for (const Expr* operand : operation->arguments()) {
      operands.push_back(name_of(operand->IgnoreImpCasts()->getType()));
    }
    return use(call->getExprLoc(), llvm::Twine("operator ") + getOperatorSpelling(operation->getOperator()) + "(" +
                                       llvm::join(operands, ", ") + ")");
  }
  if (const auto* conversion = dyn_cast<CXXConversionDecl>(callee)) {
    return use(call->getExprLoc(), "implicit conversion " + name_of_class(conversion->getParent()) + " -> " +
                                       name_of(conversion->getConversionType()));
  }
  const auto* method = dyn_cast<CXXMethodDecl>(callee);
  const auto* maker =
      dyn_cast_or_null<ClassTemplateSpecializationDecl>(method == nullptr ? nullptr : method->getParent());
  if (maker != nullptr && maker->getName() == "Make") {
    std::vector<std::string> parts;
    for (const Expr* argument : call->arguments()) {
      parts.push_back(name_of(argument->IgnoreImpCasts()->getType()));
    }
    note_made(call->getExprLoc(), maker->getTemplateArgs()[0].getAsType(), parts);
    return true;
  }
  if (llvm::StringRef(callee->getQualifiedNameAsString()).starts_with("metalsim")) {
    return true; // behind the shim's macros
  }
  note_function(call, callee);
  return true;
}

bool Uses::VisitCXXConstructExpr(CXXConstructExpr* construction) {
  const CXXConstructorDecl* constructor = construction->getConstructor();
  note_temporaries(constructor, llvm::ArrayRef<const Expr*>(construction->getArgs(), construction->getNumArgs()));
  if (is_in_shim(constructor) && !constructor->isCopyOrMoveConstructor() && construction->getNumArgs() > 0) {
    std::vector<std::string> parts;
    for (const Expr* argument : construction->arguments()) {
      parts.push_back(name_of(argument->IgnoreImpCasts()->getType()));
    }
    note_made(construction->getExprLoc(), construction->getType(), parts);
  }
  return true;
}

bool Uses::VisitDeclRefExpr(DeclRefExpr* reference) {
  const auto* enumerator = dyn_cast<EnumConstantDecl>(reference->getDecl());
  if (enumerator != nullptr && is_in_shim(enumerator) && text_.is_written(reference->getLocation())) {
    const auto* enumeration = cast<EnumDecl>(enumerator->getDeclContext());
    std::string scope = enumeration->isScoped() ? enumeration->getNameAsString() + "::" : "";
    use(reference->getLocation(), "constant " + scope + enumerator->getName());
  }
  return true;
}

bool Uses::VisitBinaryOperator(BinaryOperator* operation) {
  QualType left = operation->getLHS()->IgnoreImpCasts()->getType();
  QualType right = operation->getRHS()->IgnoreImpCasts()->getType();
  if (operation->isTypeDependent() || operation->getOpcode() == BO_Assign || operation->getOpcode() == BO_Comma ||
      (!is_of_library(left) && !is_of_library(right))) {
    return true;
  }
  return use(operation->getOperatorLoc(),
             llvm::Twine("operator ") + operation->getOpcodeStr() + "(" + name_of(left) + ", " + name_of(right) + ")");
}

bool Uses::VisitUnaryOperator(UnaryOperator* operation) {
  QualType operand = operation->getSubExpr()->IgnoreImpCasts()->getType();
  bool is_address = operation->getOpcode() == UO_AddrOf || operation->getOpcode() == UO_Deref;
  if (operation->isTypeDependent() || is_address || !is_of_library(operand)) {
    return true;
  }
  return use(operation->getOperatorLoc(), llvm::Twine("operator ") +
                                              UnaryOperator::getOpcodeStr(operation->getOpcode()) + "(" +
                                              name_of(operand) + ")");
}

bool Uses::VisitConditionalOperator(ConditionalOperator* operation) {
  QualType condition = operation->getCond()->IgnoreImpCasts()->getType();
  if (operation->isTypeDependent() || !(is_vector(operation->getType()) || is_vector(condition))) {
    return true;
  }
  return use(operation->getQuestionLoc(), "operator ?:(" + name_of(condition) + ", " +
                                              name_of(operation->getTrueExpr()->getType()) + ", " +
                                              name_of(operation->getFalseExpr()->getType()) + ")");
}

bool Uses::VisitExtVectorElementExpr(ExtVectorElementExpr* element) {
  QualType base = element->getBase()->getType();
  if (base->isDependentType()) {
    return true;
  }
  return use(element->getAccessorLoc(), "component " + name_of(base) + "." + element->getAccessor().getName());
}

bool Uses::VisitArraySubscriptExpr(ArraySubscriptExpr* subscript) {
  if (subscript->isTypeDependent() || !is_vector(subscript->getBase()->getType())) {
    return true;
  }
  return use(subscript->getExprLoc(), "index " + name_of(subscript->getBase()->getType()) + "[]");
}

bool Uses::VisitImplicitCastExpr(ImplicitCastExpr* cast) {
  QualType from = cast->getSubExpr()->IgnoreImpCasts()->getType();
  QualType to = cast->getType();
  if (cast->isTypeDependent() || from->isDependentType() || !(is_of_library(from) || is_of_library(to)) ||
      cast->isPartOfExplicitCast()) {
    return true;
  }
  CastKind kind = cast->getCastKind();
  bool converts = kind == CK_VectorSplat || kind == CK_FloatingCast || kind == CK_IntegralToFloating ||
                  kind == CK_FloatingToIntegral || kind == CK_FloatingToBoolean;
  if (converts && name_of(from) != name_of(to)) {
    use(cast->getExprLoc(), "implicit conversion " + name_of(from) + " -> " + name_of(to));
  }
  return true;
}

bool Uses::VisitExplicitCastExpr(ExplicitCastExpr* cast) {
  const Expr* operand = cast->getSubExprAsWritten();
  QualType from = operand->getType();
  QualType to = cast->getTypeAsWritten();
  if (from->isDependentType() || to->isDependentType() || !text_.is_written(cast->getBeginLoc())) {
    return true;
  }
  if (to->isPointerType() || to->isReferenceType()) {
    const auto* call = dyn_cast<CXXMemberCallExpr>(operand->IgnoreParens());
    std::string source = name_of(from);
    if (call != nullptr && is_in_shim(call->getMethodDecl())) {
      // whatever type the shim gives it
      source = name_of_class(call->getRecordDecl()) + "::" + call->getMethodDecl()->getNameAsString() + "()";
    } else if (to->isReferenceType()) {
      source = metal_name(space_of(from)) + " " + source + "&";
    } else if (from->isArrayType()) {
      source = name_of(ast_.getArrayDecayedType(from));
    }
    std::string target = to->isPointerType() ? name_of(to) : metal_name(pointee_space(to)) + " " + name_of(to) + "&";
    const auto* named = dyn_cast<CXXNamedCastExpr>(cast);
    return use(cast->getExprLoc(),
               llvm::Twine(named == nullptr ? "cast" : named->getCastName()) + " " + source + " -> " + target);
  }
  if (to->isVoidType() || to->isRecordType() || name_of(from) == name_of(to)) {
    return true;
  }
  return use(cast->getExprLoc(), "conversion " + name_of(from) + " -> " + name_of(to));
}

/// Directly: a constant that is computed from one is one to those that use it.
bool Uses::depends_on_function_constants(const Stmt* expression) const {
  if (expression == nullptr) {
    return false;
  }
  if (const auto* reference = dyn_cast<DeclRefExpr>(expression)) {
    const auto* variable = dyn_cast<VarDecl>(reference->getDecl());
    return variable != nullptr && variable->hasGlobalStorage() && !is_in_shim(variable) &&
           (text_.is_function_constant(variable->getName()) || depends_on_function_constants(variable->getInit()));
  }
  return llvm::any_of(expression->children(),
                      [this](const Stmt* child) { return depends_on_function_constants(child); });
}

bool Uses::VisitVarDecl(VarDecl* variable) {
  QualType type = variable->getType();
  if (type->isDependentType()) {
    return true;
  }
  SourceLocation location = variable->getLocation();
  if (type->isReferenceType() && type->getPointeeType()->isArrayType() && !variable->hasInit()) {
    bool has_name = type->getPointeeType()->getAs<TypedefType>() != nullptr;
    use(location, llvm::Twine("form reference to an array") + (has_name ? " that a typedef names" : "") + ", " +
                      metal_name(pointee_space(type)));
  }
  const auto* call =
      dyn_cast_or_null<CallExpr>(variable->hasInit() ? variable->getInit()->IgnoreParenCasts() : nullptr);
  if (const auto* dereferenced =
          dyn_cast_or_null<UnaryOperator>(variable->hasInit() ? variable->getInit()->IgnoreParenCasts() : nullptr)) {
    call = dyn_cast<CallExpr>(dereferenced->getSubExpr()->IgnoreParenCasts());
  }
  const FunctionDecl* callee = call == nullptr ? nullptr : call->getDirectCallee();
  if (callee != nullptr && callee->getNameAsString() == "metalsim_threadgroup_variable") {
    return use(location, "form threadgroup variable " + name_of(type));
  }
  if (variable->isLocalVarDeclOrParm() || space_of(type) != LangAS::sycl_global_host) {
    return true;
  }
  std::string place = isa<TranslationUnitDecl>(variable->getDeclContext()) ? "at global scope" : "in a namespace";
  if (text_.is_function_constant(variable->getName())) {
    return use(location, "form function constant of " + name_of(type) + " " + place);
  }
  if (depends_on_function_constants(variable->getInit())) {
    return use(location, "form constant made of function constants, " + place);
  }
  if (variable->isStaticDataMember()) {
    place = "as a static member";
  }
  return use(location, std::string("form constant") + (variable->isConstexpr() ? " constexpr " : " ") + place);
}

bool Uses::VisitFieldDecl(FieldDecl* field) {
  return !field->hasInClassInitializer() || use(field->getLocation(), "form default member initialiser");
}

bool Uses::VisitCXXConstructorDecl(CXXConstructorDecl* constructor) {
  return !constructor->isExplicitlyDefaulted() || use(constructor->getLocation(), "form defaulted constructor");
}

bool Uses::VisitEnumDecl(EnumDecl* enumeration) {
  return enumeration->getIntegerTypeSourceInfo() == nullptr ||
         use(enumeration->getLocation(), "form enum of type " + name_of(enumeration->getIntegerType()));
}

bool Uses::VisitNamespaceDecl(NamespaceDecl* space) {
  return !space->isAnonymousNamespace() || use(space->getLocation(), "form anonymous namespace");
}

bool Uses::VisitFunctionTemplateDecl(FunctionTemplateDecl* function) {
  for (const ParmVarDecl* parameter : function->getTemplatedDecl()->parameters()) {
    QualType type = parameter->getType().getNonReferenceType().getCanonicalType();
    const auto* vector = dyn_cast<DependentSizedExtVectorType>(type.getTypePtr());
    const auto* size =
        vector == nullptr ? nullptr : dyn_cast<DeclRefExpr>(vector->getSizeExpr()->IgnoreParenImpCasts());
    if (size != nullptr && isa<NonTypeTemplateParmDecl>(size->getDecl())) {
      use(parameter->getLocation(), "form deduction of n from vec<T, n>");
    }
  }
  return true;
}

} // namespace

void write_uses(ASTContext& ast, const SourceText& text, const std::string& output) {
  std::error_code error;
  llvm::raw_fd_ostream stream(output, error);
  if (error) {
    llvm::errs() << "metalsim-strict: cannot write " << output << ": " << error.message() << "\n";
    return;
  }
  Uses uses(ast, text, stream);
  for (Decl* declaration : ast.getTranslationUnitDecl()->noload_decls()) {
    if (text.is_user(declaration->getLocation())) {
      uses.TraverseDecl(declaration);
    }
  }
}

} // namespace metalsim::strict
