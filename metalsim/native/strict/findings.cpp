// See findings.h.
#include "findings.h"
#include "metal_names.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/Support/raw_ostream.h"
#include <algorithm>
#include <tuple>

using namespace clang;

namespace metalsim::strict {
namespace {

/// What says no more than that the C++ is wrong.
bool is_general(std::optional<Rule> rule) {
  return !rule || *rule == Rule::overload || *rule == Rule::conversion;
}

} // namespace

void Findings::start(const SourceManager& sources, const LangOptions& language, unsigned language_version) {
  sources_ = &sources;
  text_ = std::make_unique<SourceText>(sources, language);
  language_version_ = language_version != 0 ? language_version : text_->language_version();
}

void Findings::add(Finding finding) {
  // What the language version accepts must not make the compilation fail.
  if (finding.rule && is_accepted(*finding.rule, language_version_)) {
    return;
  }
  NumErrors++;
  findings_.push_back(std::move(finding));
}

void Findings::report(Rule rule, SourceLocation location, llvm::ArrayRef<std::string> words) {
  add({sources_->getExpansionLoc(location), rule, sentence(rule, words)});
}

void Findings::HandleDiagnostic(DiagnosticsEngine::Level level, const Diagnostic& diagnostic) {
  if (text_ == nullptr) {
    printer_->HandleDiagnostic(level, diagnostic);
    DiagnosticConsumer::HandleDiagnostic(level, diagnostic);
    return;
  }
  SourceLocation location = diagnostic.getLocation();
  if (level == DiagnosticsEngine::Note) {
    if (awaits_place_ && text_->is_user(location)) {
      findings_.back().location = sources_->getExpansionLoc(location);
      awaits_place_ = false;
    }
    return;
  }
  SmallString<256> clang_message;
  diagnostic.FormatDiagnostic(clang_message);
  std::string message = in_metal_words(clang_message);
  Classification found = classify(diagnostic, message, *text_);
  bool is_user = text_->is_user(location);
  if (level < DiagnosticsEngine::Error && !(found.rule && is_user)) {
    return;
  }
  size_t before = findings_.size();
  add({location.isValid() ? sources_->getExpansionLoc(location) : location, found.rule, std::move(found.message)});
  awaits_place_ = findings_.size() > before && !is_user;
}

void Findings::BeginSourceFile(const LangOptions& language, const Preprocessor* preprocessor) {
  printer_->BeginSourceFile(language, preprocessor);
}

bool Findings::is_on_line_of(const Finding& finding, const Finding& other) const {
  return other.location.isValid() && finding.location.isValid() &&
         sources_->getFileID(other.location) == sources_->getFileID(finding.location) &&
         sources_->getExpansionLineNumber(other.location) == sources_->getExpansionLineNumber(finding.location);
}

bool Findings::is_hidden(const Finding& finding) const {
  bool follows_up = is_general(finding.rule) && !text_->is_user(finding.location);
  for (const Finding& other : findings_) {
    bool same_line = is_on_line_of(finding, other);
    bool is_before = &other < &finding;
    if (is_before && same_line && other.rule == finding.rule && (finding.rule || other.message == finding.message)) {
      return true; // another instantiation, or the same mistake in a longer expression
    }
    if (same_line && is_general(finding.rule) && !is_general(other.rule)) {
      return true; // clang's own words add nothing where a rule says what is wrong
    }
    if (follows_up && text_->is_user(other.location)) {
      return true; // clang says who instantiated a template for its first error only
    }
  }
  return false;
}

void Findings::EndSourceFile() {
  printer_->EndSourceFile();
  if (sources_ == nullptr) {
    return;
  }
  std::sort(findings_.begin(), findings_.end(), [this](const Finding& a, const Finding& b) {
    if (a.location == b.location || a.location.isInvalid() || b.location.isInvalid()) {
      return std::tie(a.location, a.message) < std::tie(b.location, b.message);
    }
    return sources_->isBeforeInTranslationUnit(a.location, b.location);
  });
  for (const Finding& finding : findings_) {
    if (is_hidden(finding)) {
      continue;
    }
    PresumedLoc place = sources_->getPresumedLoc(finding.location);
    if (place.isValid()) {
      llvm::errs() << place.getFilename() << ':' << place.getLine() << ':' << place.getColumn() << ": ";
    }
    llvm::errs() << "error: " << finding.message;
    if (finding.rule) {
      llvm::errs() << ' ' << citation(*finding.rule);
    }
    llvm::errs() << '\n';
  }
}

} // namespace metalsim::strict
