#include "selectors.h"

#include "exported.h"

#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string_view>
#include <unordered_set>

namespace metalsim::objc {

namespace {

/// Never destroyed: messages are sent until the very end of the process.
struct Names {
  std::mutex mutex;
  std::unordered_set<std::string_view> all;
};

Names& names() {
  static auto* the_names = new Names;
  return *the_names;
}

} // namespace

Selector selector(const char* name) {
  Names& known = names();
  const std::lock_guard lock(known.mutex);
  const auto found = known.all.find(name);
  if (found != known.all.end()) {
    return found->data();
  }
  // A copy, since the library that the name comes from may be unloaded.
  char* text = strdup(name);
  known.all.emplace(text);
  return text;
}

const KnownSelectors& known_selectors() {
  static const KnownSelectors known{
      .retain = selector("retain"),
      .release = selector("release"),
      .autorelease = selector("autorelease"),
      .dealloc = selector("dealloc"),
      .alloc = selector("alloc"),
      .init = selector("init"),
      .initialize = selector("initialize"),
      .load = selector("load"),
      .copy = selector("copy"),
      .construct = selector(".cxx_construct"),
      .destruct = selector(".cxx_destruct"),
      .self_class = selector("class"),
      .is_kind_of_class = selector("isKindOfClass:"),
      .responds_to_selector = selector("respondsToSelector:"),
      .self = selector("self"),
  };
  return known;
}

} // namespace metalsim::objc

using namespace metalsim::objc;

METALSIM_EXPORT Selector sel_registerName(const char* name) {
  return selector(name);
}
METALSIM_EXPORT const char* sel_getName(Selector name) {
  return name == nullptr ? "<null selector>" : name;
}
METALSIM_EXPORT bool sel_isEqual(Selector left, Selector right) {
  return left == right;
}
METALSIM_EXPORT bool sel_isMapped(Selector name) {
  return name != nullptr && selector(name) == name;
}
