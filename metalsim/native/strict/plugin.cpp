// The clang plugin: refuses Metal source that Apple's compiler refuses, with the rule and the section of the
// specification.
//
//   clang++-19 <the flags of the shim's strict flavour> -include-pch metalsim.pch -fsyntax-only -fplugin=strict.so
//   text.cpp
//
// - The text is the front end's, with the macro METALSIM_LANGUAGE_VERSION (310 for Metal 3.1) defined in it;
//   `-Xclang -plugin-arg-metalsim-strict -Xclang language-version=320` overrides it.
// - `-Xclang -plugin-arg-metalsim-strict -Xclang uses=FILE` writes what the text uses of Metal to a file; see uses.h.
// - Each kernel must be instantiated (METALSIM_INSTANTIATE_KERNEL): templates are checked where they are used.
// - It prints `FILE:LINE:COL: error: SENTENCE [metal-RULE, MSL SECTION "TITLE"]`, one line each, in the order of the
// text.
//   Errors of C++ that are no rule of Metal have no brackets. Carets, notes and the limit on errors of clang do not
//   apply.
// - The rules are in rules.def, clang's own errors that are rules in diagnostics.cpp.
#include "uses.h"
#include "visitor.h"

#include "clang/AST/ASTConsumer.h"
#include "clang/Frontend/CompilerInstance.h"
#include "clang/Frontend/FrontendPluginRegistry.h"

using namespace clang;

namespace metalsim::strict {
namespace {

class Consumer : public ASTConsumer {
public:
  Consumer(CompilerInstance& compiler, unsigned language_version, std::string uses)
      : compiler_(compiler), uses_(std::move(uses)) {
    DiagnosticsEngine& diagnostics = compiler.getDiagnostics();
    auto findings = std::make_unique<Findings>(diagnostics.takeClient());
    findings_ = findings.get();
    diagnostics.setClient(findings.release(), /*ShouldOwnClient=*/true);
    diagnostics.setErrorLimit(0); // each instantiation of a template repeats its errors; Findings drops the repetitions
    enable_warnings(diagnostics);
    findings_->start(compiler.getSourceManager(), compiler.getLangOpts(), language_version);
  }

  void HandleTranslationUnit(ASTContext& ast) override {
    if (!compiler_.getDiagnostics().hasFatalErrorOccurred()) {
      Visitor(ast, *findings_).run();
      if (!uses_.empty()) {
        write_uses(ast, findings_->text(), uses_);
      }
    }
  }

private:
  CompilerInstance& compiler_;
  Findings* findings_; ///< owned by the diagnostics engine
  std::string uses_;   ///< a path, or empty
};

class Action : public PluginASTAction {
public:
  ActionType getActionType() override { return AddAfterMainAction; }

  std::unique_ptr<ASTConsumer> CreateASTConsumer(CompilerInstance& compiler, StringRef) override {
    return std::make_unique<Consumer>(compiler, language_version_, uses_);
  }

  bool ParseArgs(const CompilerInstance&, const std::vector<std::string>& arguments) override {
    for (StringRef argument : arguments) {
      if (argument.consume_front("uses=")) {
        uses_ = argument.str();
      } else if (!argument.consume_front("language-version=") || argument.getAsInteger(10, language_version_)) {
        llvm::errs()
            << "metalsim-strict: an argument must be language-version=NUMBER, as in __METAL_VERSION__, or uses=FILE\n";
        return false;
      }
    }
    return true;
  }

private:
  unsigned language_version_ = 0;
  std::string uses_;
};

FrontendPluginRegistry::Add<Action> registration("metalsim-strict", "refuse what Apple's Metal compiler refuses");

} // namespace
} // namespace metalsim::strict
