// See source_text.h.
#include "source_text.h"

#include "clang/Lex/Lexer.h"
#include "llvm/ADT/StringSwitch.h"
#include <algorithm>

using namespace clang;

namespace metalsim::strict {
namespace {

/// Words that may stand before the type of a declaration.
bool is_specifier(StringRef word) {
  return llvm::StringSwitch<bool>(word)
      .Cases("thread", "device", "constant", "threadgroup", "const", "volatile", true)
      .Cases("static", "inline", "constexpr", "typename", "mutable", "extern", true)
      .Default(false);
}

bool is_address_space(StringRef word) {
  return llvm::StringSwitch<bool>(word).Cases("thread", "device", "constant", "threadgroup", true).Default(false);
}

} // namespace

SourceText::SourceText(const SourceManager& sources, const LangOptions& language) : sources_(sources) {
  FileID file = sources.getMainFileID();
  StringRef text = sources.getBufferData(file);
  Lexer lexer(sources.getLocForStartOfFile(file), language, text.begin(), text.begin(), text.end());
  clang::Token token;
  while (!lexer.LexFromRawLexer(token)) {
    unsigned at = sources.getFileOffset(token.getLocation());
    tokens_.push_back({at, text.substr(at, token.getLength())});
  }
  // The front end writes a function constant as `static constant T name = METALSIM_FUNCTION_CONSTANT(T, n);`.
  for (size_t index = 2; index < tokens_.size(); index++) {
    if (tokens_[index].text == "METALSIM_FUNCTION_CONSTANT" && tokens_[index - 1].text == "=") {
      function_constants_.insert(tokens_[index - 2].text);
    }
    if (tokens_[index - 1].text == "METALSIM_LANGUAGE_VERSION" && tokens_[index - 2].text == "define") {
      tokens_[index].text.getAsInteger(10, language_version_);
    }
  }
}

bool SourceText::is_user(SourceLocation location) const {
  return location.isValid() && sources_.getFileID(sources_.getExpansionLoc(location)) == sources_.getMainFileID();
}

bool SourceText::is_written(SourceLocation location) const {
  return is_user(location) && sources_.getFileID(sources_.getSpellingLoc(location)) == sources_.getMainFileID();
}

unsigned SourceText::offset(SourceLocation location) const {
  return sources_.getFileOffset(sources_.getExpansionLoc(location));
}

size_t SourceText::token_at(unsigned offset) const {
  auto found = std::lower_bound(tokens_.begin(), tokens_.end(), offset,
                                [](const Token& token, unsigned wanted) { return token.offset < wanted; });
  return static_cast<size_t>(found - tokens_.begin());
}

bool SourceText::says_thread(SourceLocation begin, SourceLocation end) const {
  size_t first = token_at(offset(begin));
  while (first > 0 && is_specifier(tokens_[first - 1].text)) {
    first--;
  }
  unsigned stop = offset(end);
  for (size_t index = first; index < tokens_.size() && tokens_[index].offset < stop; index++) {
    if (tokens_[index].text == "thread") {
      return true;
    }
  }
  return false;
}

bool SourceText::says_address_space(SourceLocation name) const {
  size_t at = token_at(offset(name));
  size_t first = at;
  while (first > 0 && is_specifier(tokens_[first - 1].text)) {
    first--;
  }
  for (size_t index = first; index < tokens_.size() && (index <= at || is_specifier(tokens_[index].text)); index++) {
    if (is_address_space(tokens_[index].text)) {
      return true;
    }
  }
  return false;
}

StringRef SourceText::function_constant_at(SourceLocation location) const {
  if (!is_user(location)) {
    return "";
  }
  StringRef text = sources_.getBufferData(sources_.getMainFileID());
  size_t end = text.find('\n', offset(location));
  size_t begin = text.rfind('\n', offset(location));
  size_t index = token_at(begin == StringRef::npos ? 0 : static_cast<unsigned>(begin));
  for (; index < tokens_.size() && tokens_[index].offset < end; index++) {
    if (is_function_constant(tokens_[index].text)) {
      return tokens_[index].text;
    }
  }
  return "";
}

StringRef SourceText::function_constant_in_arguments(SourceLocation location) const {
  size_t index = is_user(location) ? token_at(offset(location)) + 1 : tokens_.size();
  if (index >= tokens_.size() || tokens_[index].text != "<") {
    return "";
  }
  for (; index < tokens_.size() && tokens_[index].text != ">" && tokens_[index].text != ";"; index++) {
    if (is_function_constant(tokens_[index].text)) {
      return tokens_[index].text;
    }
  }
  return "";
}

StringRef SourceText::identifier_at(SourceLocation location) const {
  if (!is_user(location)) {
    return "";
  }
  size_t index = token_at(offset(location));
  return index < tokens_.size() ? tokens_[index].text : "";
}

} // namespace metalsim::strict
