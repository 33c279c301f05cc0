// Looks rules up in their table.
#include "rules.h"

namespace metalsim::strict {
namespace {

struct Entry {
  const char* name;
  const char* section;
  const char* title;
  unsigned accepted_from;
  const char* sentence;
};

const Entry kTable[] = {
#define METALSIM_RULE(identifier, name, section, title, accepted_from, sentence)                                       \
  {name, section, title, accepted_from, sentence},
#include "rules.def"
#undef METALSIM_RULE
};

const Entry& entry(Rule rule) {
  return kTable[static_cast<unsigned>(rule)];
}

} // namespace

bool is_accepted(Rule rule, unsigned language_version) {
  unsigned from = entry(rule).accepted_from;
  return from != 0 && language_version >= from;
}

std::string sentence(Rule rule, llvm::ArrayRef<std::string> words) {
  std::string text = entry(rule).sentence;
  for (size_t index = 0; index < words.size(); index++) {
    std::string hole = "{" + std::to_string(index) + "}";
    // Searching on behind what was filled in: a word may hold braces of its own.
    for (size_t at = text.find(hole); at != std::string::npos; at = text.find(hole, at + words[index].size())) {
      text.replace(at, hole.size(), words[index]);
    }
  }
  return text;
}

std::string citation(Rule rule) {
  const Entry& found = entry(rule);
  return std::string("[metal-") + found.name + ", MSL " + found.section + " \"" + found.title + "\"]";
}

} // namespace metalsim::strict
