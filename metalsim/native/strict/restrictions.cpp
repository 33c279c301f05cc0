// Parts of C++ that Metal leaves out (section 1.5.4 of the specification): each is refused wherever it is written.
#include "visitor.h"

using namespace clang;

namespace metalsim::strict {

bool Visitor::VisitGotoStmt(GotoStmt* statement) {
  report(Rule::goto_, statement->getGotoLoc());
  return true;
}

bool Visitor::VisitIndirectGotoStmt(IndirectGotoStmt* statement) {
  report(Rule::goto_, statement->getGotoLoc());
  return true;
}

bool Visitor::VisitAsmStmt(AsmStmt* statement) {
  if (text_.is_written(statement->getAsmLoc())) {
    report(Rule::assembler, statement->getAsmLoc());
  }
  return true;
}

bool Visitor::VisitFileScopeAsmDecl(FileScopeAsmDecl* declaration) {
  report(Rule::assembler, declaration->getAsmLoc());
  return true;
}

bool Visitor::VisitCXXThrowExpr(CXXThrowExpr* expression) {
  report(Rule::exceptions, expression->getThrowLoc(), {"throw"});
  return true;
}

bool Visitor::VisitCXXTryStmt(CXXTryStmt* statement) {
  report(Rule::exceptions, statement->getTryLoc(), {"try"});
  return true;
}

bool Visitor::VisitCXXNewExpr(CXXNewExpr* expression) {
  if (expression->getNumPlacementArgs() > 0) {
    report(Rule::placement_new, expression->getBeginLoc());
  } else {
    report(Rule::new_delete, expression->getBeginLoc(), {"new"});
  }
  return true;
}

bool Visitor::VisitCXXDeleteExpr(CXXDeleteExpr* expression) {
  report(Rule::new_delete, expression->getBeginLoc(), {"delete"});
  return true;
}

bool Visitor::VisitCXXDynamicCastExpr(CXXDynamicCastExpr* expression) {
  report(Rule::dynamic_cast_, expression->getOperatorLoc());
  return true;
}

bool Visitor::VisitCXXTypeidExpr(CXXTypeidExpr* expression) {
  report(Rule::typeid_, expression->getBeginLoc());
  return true;
}

bool Visitor::VisitCXXNoexceptExpr(CXXNoexceptExpr* expression) {
  report(Rule::noexcept_operator, expression->getBeginLoc());
  return true;
}

bool Visitor::VisitLambdaExpr(LambdaExpr* expression) {
  report(Rule::lambda, expression->getBeginLoc());
  return true;
}

} // namespace metalsim::strict
