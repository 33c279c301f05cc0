// The walk through the AST of a Metal source. Each check is a member function in the file of its subject.
//
// Instantiations of templates are walked as well: what a pattern means, for instance the address space of T*, is known
// there.
#pragma once

#include "findings.h"
#include "metal_names.h"
#include "object_spaces.h"

#include "clang/AST/RecursiveASTVisitor.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/MapVector.h"

namespace metalsim::strict {

class Visitor : public clang::RecursiveASTVisitor<Visitor> {
  using Base = clang::RecursiveASTVisitor<Visitor>;

public:
  /// From this language version on `this` of a function without an address space is generic.
  static constexpr unsigned kGenericThisVersion = 410;

  Visitor(clang::ASTContext& ast, Findings& findings)
      : ast_(ast), findings_(findings), text_(findings.text()),
        spaces_(findings.language_version() >= kGenericThisVersion) {}

  /// Check the whole source.
  void run();

  bool shouldVisitTemplateInstantiations() const { return true; }

  // The function that is being walked.
  bool TraverseFunctionDecl(clang::FunctionDecl* function);
  bool TraverseCXXMethodDecl(clang::CXXMethodDecl* function);
  bool TraverseCXXConstructorDecl(clang::CXXConstructorDecl* function);
  bool TraverseCXXConversionDecl(clang::CXXConversionDecl* function);
  bool TraverseCXXDestructorDecl(clang::CXXDestructorDecl* function);
  bool TraverseNestedNameSpecifierLoc(clang::NestedNameSpecifierLoc qualifier);

  // Address spaces.
  bool VisitPointerTypeLoc(clang::PointerTypeLoc type);
  bool VisitLValueReferenceTypeLoc(clang::LValueReferenceTypeLoc type);
  bool VisitRValueReferenceTypeLoc(clang::RValueReferenceTypeLoc type);
  bool VisitImplicitCastExpr(clang::ImplicitCastExpr* cast);
  bool VisitExplicitCastExpr(clang::ExplicitCastExpr* cast);
  bool VisitCXXConstructExpr(clang::CXXConstructExpr* construction);

  // Types.
  bool VisitBuiltinTypeLoc(clang::BuiltinTypeLoc type);
  bool VisitTypedefTypeLoc(clang::TypedefTypeLoc type);
  bool VisitUnaryOperator(clang::UnaryOperator* operation);
  bool VisitTemplateSpecializationTypeLoc(clang::TemplateSpecializationTypeLoc type);
  bool VisitVariableArrayTypeLoc(clang::VariableArrayTypeLoc type);
  bool VisitFloatingLiteral(clang::FloatingLiteral* literal);
  bool VisitIntegerLiteral(clang::IntegerLiteral* literal);
  bool VisitCompoundAssignOperator(clang::CompoundAssignOperator* assignment);
  bool VisitInitListExpr(clang::InitListExpr* list);

  // Comparisons of vectors.
  bool VisitExpr(clang::Expr* expression);

  // Elements of simdgroup matrices; of expressions, see check_matrix_elements.
  bool VisitDeclStmt(clang::DeclStmt* statement);

  // Names.
  bool VisitNamedDecl(clang::NamedDecl* declaration);

  // Declarations.
  bool VisitVarDecl(clang::VarDecl* variable);
  bool VisitFunctionDecl(clang::FunctionDecl* function);

  // Calls.
  bool VisitCallExpr(clang::CallExpr* call);
  bool VisitRecoveryExpr(clang::RecoveryExpr* call);

  // What `this` and its members are bound to.
  bool VisitReturnStmt(clang::ReturnStmt* statement);
  bool VisitBinaryOperator(clang::BinaryOperator* operation);

  // What the language does not have at all.
  bool VisitGotoStmt(clang::GotoStmt* statement);
  bool VisitIndirectGotoStmt(clang::IndirectGotoStmt* statement);
  bool VisitAsmStmt(clang::AsmStmt* statement);
  bool VisitFileScopeAsmDecl(clang::FileScopeAsmDecl* declaration);
  bool VisitCXXThrowExpr(clang::CXXThrowExpr* expression);
  bool VisitCXXTryStmt(clang::CXXTryStmt* statement);
  bool VisitCXXNewExpr(clang::CXXNewExpr* expression);
  bool VisitCXXDeleteExpr(clang::CXXDeleteExpr* expression);
  bool VisitCXXDynamicCastExpr(clang::CXXDynamicCastExpr* expression);
  bool VisitCXXTypeidExpr(clang::CXXTypeidExpr* expression);
  bool VisitCXXNoexceptExpr(clang::CXXNoexceptExpr* expression);
  bool VisitLambdaExpr(clang::LambdaExpr* expression);
  bool VisitUsingDirectiveDecl(clang::UsingDirectiveDecl* directive);
  bool VisitNamespaceAliasDecl(clang::NamespaceAliasDecl* alias);

private:
  void report(Rule rule, clang::SourceLocation location, llvm::ArrayRef<std::string> words = {});

  void check_has_address_space(clang::QualType pointee, clang::TypeLoc written, clang::SourceLocation sigil,
                               const char* kind);
  void check_bfloat_conversion(clang::QualType from, clang::QualType to, const clang::Expr* value,
                               clang::SourceLocation location);
  void note_conditions(llvm::ArrayRef<const clang::Expr*> expressions);
  void note_conditions_of_operator(const clang::BinaryOperator* operation);
  void note_conditions_of_list(const clang::InitListExpr* list);
  void check_matrix(clang::QualType type, clang::SourceLocation location);
  void check_matrix_elements(clang::Expr* expression);
  void check_program_scope(clang::VarDecl* variable);
  void check_initializer(clang::VarDecl* variable);
  void check_constexpr(clang::FunctionDecl* function);
  void check_threadgroup_variable(clang::QualType type, const std::string& name, clang::SourceLocation location);
  void check_kernel(clang::FunctionDecl* kernel);
  void report_generic_this(clang::SourceLocation location, const std::string& problem);
  void check_object(const clang::CXXMethodDecl* method, const clang::Expr* object, clang::SourceLocation location);
  void check_method_arguments(clang::CallExpr* call);
  void check_construction(const clang::CXXConstructExpr* construction);
  void check_member_initializers(const clang::CXXConstructorDecl* constructor);
  void check_threadgroup_object(const clang::VarDecl* variable);
  void check_binding(clang::QualType target, const clang::Expr* value);
  void check_matrix_product(clang::CallExpr* call, const clang::FunctionDecl* callee);
  void check_bfloat_function(clang::CallExpr* call, const clang::FunctionDecl* callee);
  void check_recursion();

  const clang::CXXRecordDecl* without_constructor(clang::QualType type) const;
  bool is_kernel(const clang::FunctionDecl* function) const;
  bool is_in_shim(const clang::Decl* declaration) const;
  const clang::VarDecl* function_constant_in(const clang::Stmt* expression) const;

  clang::ASTContext& ast_;
  Findings& findings_;
  const SourceText& text_;
  const ObjectSpaces spaces_;
  clang::FunctionDecl* function_ = nullptr;
  /// Arguments whose address space may change: objects of member functions, and what implicit copies read.
  llvm::DenseSet<const clang::Expr*> free_arguments_;
  /// What is used for nothing but whether it is zero, with its parentheses and implicit casts taken off.
  llvm::DenseSet<const clang::Expr*> conditions_;
  /// What has the type of thread_elements(), and is used as can be known to be right.
  llvm::DenseSet<const clang::Expr*> known_uses_;
  llvm::MapVector<const clang::FunctionDecl*, llvm::SmallVector<const clang::FunctionDecl*, 4>> callees_;
};

} // namespace metalsim::strict
