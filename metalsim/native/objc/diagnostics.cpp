#include "diagnostics.h"

#include "classes.h"
#include "debug.h"
#include "lookup.h"
#include "selectors.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <unordered_set>

namespace metalsim::objc {

namespace {

void collect_missing(Class* cls, const Protocol& protocol, std::unordered_set<std::string>& missing) {
  const MethodList* methods = protocol.instance_methods;
  const uint32_t count = methods == nullptr ? 0 : methods->count;
  for (uint32_t index = 0; index < count; ++index) {
    const char* name = methods->first[index].name;
    if (find_method(cls, selector(name)) == nullptr) {
      missing.insert(name);
    }
  }
  const uintptr_t inherited = protocol.protocols == nullptr ? 0 : protocol.protocols->count;
  for (uintptr_t index = 0; index < inherited; ++index) {
    collect_missing(cls, *protocol.protocols->first[index], missing);
  }
}

} // namespace

bool debugging() {
  static const bool is_on = [] {
    const char* value = getenv("METALSIM_OBJC_DEBUG");
    return value != nullptr && strcmp(value, "1") == 0;
  }();
  return is_on;
}

} // namespace metalsim::objc

using namespace metalsim::objc;

int64_t metalsim_live_objects(const char* class_name) {
  const Class* cls = find_class(class_name);
  return cls == nullptr ? -1 : cls->record->live_objects.load();
}

int64_t metalsim_missing_methods(const char* class_name, const char* protocol_name, char* names, size_t size) {
  Class* cls = find_class(class_name);
  const Protocol* protocol = find_protocol(protocol_name);
  if (cls == nullptr || protocol == nullptr) {
    return -1;
  }
  std::unordered_set<std::string> missing;
  collect_missing(cls, *protocol, missing);
  std::string text;
  for (const std::string& name : missing) {
    text += name + " ";
  }
  snprintf(names, size, "%s", text.c_str());
  return static_cast<int64_t>(missing.size());
}
