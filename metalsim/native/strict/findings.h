// Where all that the pass reports comes together: what its own checks find, and what clang itself refuses.
//
// It stands in for clang's diagnostics printer. Each error of clang that a rule describes gets the rule's name and
// section; one whose place is in the shim is moved to the line of the Metal source that led there. The rest is as clang
// says it.
#pragma once

#include "rules.h"
#include "source_text.h"

#include "clang/Basic/Diagnostic.h"
#include <memory>
#include <optional>
#include <vector>

namespace metalsim::strict {

class Findings : public clang::DiagnosticConsumer {
public:
  explicit Findings(std::unique_ptr<clang::DiagnosticConsumer> printer) : printer_(std::move(printer)) {}

  /// Must be called before anything is reported. A language version of 0 is that of the text.
  void start(const clang::SourceManager& sources, const clang::LangOptions& language, unsigned language_version);

  const SourceText& text() const { return *text_; }

  /// As in __METAL_VERSION__.
  unsigned language_version() const { return language_version_; }

  /// Report what one of the pass's checks found; a rule is reported once for each line.
  void report(Rule rule, clang::SourceLocation location, llvm::ArrayRef<std::string> words = {});

  void HandleDiagnostic(clang::DiagnosticsEngine::Level level, const clang::Diagnostic& diagnostic) override;
  void BeginSourceFile(const clang::LangOptions& language, const clang::Preprocessor* preprocessor) override;
  void EndSourceFile() override;

private:
  struct Finding {
    clang::SourceLocation location;
    std::optional<Rule> rule;
    std::string message;
  };

  void add(Finding finding);
  bool is_on_line_of(const Finding& finding, const Finding& other) const;
  bool is_hidden(const Finding& finding) const;

  std::unique_ptr<clang::DiagnosticConsumer> printer_;
  const clang::SourceManager* sources_ = nullptr;
  std::unique_ptr<SourceText> text_;
  unsigned language_version_ = 0;
  std::vector<Finding> findings_;
  bool awaits_place_ = false; ///< the last finding is in the shim; the notes that follow say who instantiated it
};

/// What becomes of an error of clang: a rule's, or one of C++ in clang's own words.
struct Classification {
  std::optional<Rule> rule;
  std::string message;
};
Classification classify(const clang::Diagnostic& diagnostic, llvm::StringRef message, const SourceText& text);

/// Make clang report what is newer than C++14, which `classify` then sorts, and errors that the shim's flags turn off.
void enable_warnings(clang::DiagnosticsEngine& diagnostics);

} // namespace metalsim::strict
