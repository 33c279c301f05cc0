// See findings.h.
#include "findings.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/Support/raw_ostream.h"
#include <algorithm>
#include <tuple>

using namespace clang;

namespace metalsim::strict {

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
  SmallString<256> message;
  diagnostic.FormatDiagnostic(message);
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

/// What says no more than that the C++ is wrong.
static bool is_general(std::optional<Rule> rule) {
  return !rule || *rule == Rule::overload || *rule == Rule::conversion;
}

bool Findings::is_hidden(const Finding& finding) const {
  if (finding.location.isInvalid()) {
    return false;
  }
  unsigned line = sources_->getExpansionLineNumber(finding.location);
  for (const Finding& other : findings_) {
    if (&other == &finding) {
      break; // the same rule again, or the same words from another instantiation
    }
    bool same_line = other.location.isValid() && sources_->getFileID(other.location) == sources_->getFileID(finding.location) &&
                     sources_->getExpansionLineNumber(other.location) == line;
    if (same_line && other.rule == finding.rule && (finding.rule || other.message == finding.message)) {
      return true;
    }
  }
  // Clang's own words add nothing where a rule says what is wrong with the line.
  return is_general(finding.rule) && std::any_of(findings_.begin(), findings_.end(), [&](const Finding& other) {
    return !is_general(other.rule) && sources_->getFileID(other.location) == sources_->getFileID(finding.location) &&
           sources_->getExpansionLineNumber(other.location) == line;
  });
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
