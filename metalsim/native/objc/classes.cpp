#include "classes.h"

#include "debug.h"
#include "exported.h"
#include "lookup.h"
#include "selectors.h"

#include <algorithm>
#include <cstdio>
#include <unordered_map>

namespace metalsim::objc {

namespace {

/// Never destroyed: messages are sent until the very end of the process.
struct Registry {
  std::recursive_mutex mutex;
  std::unordered_map<std::string_view, Class*> classes;
  std::unordered_map<std::string_view, Protocol*> protocols;
  std::vector<Class*> all_classes; ///< and their metaclasses
};

Registry& registry() {
  static auto* the_registry = new Registry;
  return *the_registry;
}

Method& method_at(MethodList& list, uint32_t index) {
  const uint32_t entry_size = list.entry_size & ~3u; // the low bits are flags
  return *reinterpret_cast<Method*>(reinterpret_cast<char*>(list.first) + size_t{index} * entry_size);
}

Implementation method_in(MethodList* list, Selector name) {
  if (list == nullptr) {
    return nullptr;
  }
  for (uint32_t index = 0; index < list->count; ++index) {
    const Method& method = method_at(*list, index);
    if (method.name == name) {
      return method.implementation;
    }
  }
  return nullptr;
}

void make_selectors_unique(MethodList* list) {
  if (list == nullptr) {
    return;
  }
  for (uint32_t index = 0; index < list->count; ++index) {
    Method& method = method_at(*list, index);
    method.name = selector(method.name);
  }
}

/// Moves the instance variables behind those of the superclass, which may have grown since the class was compiled.
void place_instance_variables(Class* cls) {
  ClassData& data = *cls->data;
  const uint32_t needed = cls->superclass->data->instance_size;
  if (data.instance_start >= needed) {
    return;
  }
  InstanceVariableList* list = data.instance_variables;
  const auto variable_at = [list](uint32_t index) -> InstanceVariable& {
    return *reinterpret_cast<InstanceVariable*>(reinterpret_cast<char*>(list->first) +
                                                size_t{index} * list->entry_size);
  };
  const uint32_t count = list == nullptr ? 0 : list->count;
  uint32_t alignment = 8;
  for (uint32_t index = 0; index < count; ++index) {
    alignment = std::max(alignment, 1u << variable_at(index).alignment_exponent);
  }
  const uint32_t distance = (needed - data.instance_start + alignment - 1) & ~(alignment - 1);
  for (uint32_t index = 0; index < count; ++index) {
    if (variable_at(index).offset != nullptr) {
      *variable_at(index).offset += distance;
    }
  }
  data.instance_start += distance;
  data.instance_size += distance;
}

void register_class(Class* cls) {
  if (cls->record != nullptr) {
    return;
  }
  Registry& known = registry();
  cls->record = new ClassRecord;
  cls->isa->record = new ClassRecord;
  if (cls->superclass != nullptr) {
    register_class(cls->superclass);
    place_instance_variables(cls);
  }
  make_selectors_unique(cls->data->methods);
  make_selectors_unique(cls->isa->data->methods);
  cls->record->construct = method_in(cls->data->methods, known_selectors().construct);
  cls->record->destruct = method_in(cls->data->methods, known_selectors().destruct);
  known.all_classes.push_back(cls);
  known.all_classes.push_back(cls->isa);
  if (!known.classes.emplace(cls->data->name, cls).second && debugging()) {
    fprintf(stderr, "metalsim: class %s is defined in several libraries; by its name the first one is found\n",
            cls->data->name);
  }
}

void add_category(const Category& category) {
  Class* cls = category.cls;
  if (cls == nullptr) {
    return; // of a class that was linked weakly and is absent
  }
  register_class(cls);
  make_selectors_unique(category.instance_methods);
  make_selectors_unique(category.class_methods);
  if (category.instance_methods != nullptr) {
    cls->record->category_methods.push_back(category.instance_methods);
  }
  if (category.class_methods != nullptr) {
    cls->isa->record->category_methods.push_back(category.class_methods);
  }
  if (category.protocols != nullptr) {
    cls->record->category_protocols.push_back(category.protocols);
  }
}

void register_protocol(Protocol* protocol) {
  Registry& known = registry();
  if (protocol->isa == nullptr) {
    const auto found = known.classes.find("Protocol");
    protocol->isa = found == known.classes.end() ? nullptr : found->second;
  }
  known.protocols.emplace(protocol->name, protocol);
}

bool contains(ProtocolList* list, std::string_view name) {
  if (list == nullptr) {
    return false;
  }
  for (uintptr_t index = 0; index < list->count; ++index) {
    if (name == list->first[index]->name || contains(list->first[index]->protocols, name)) {
      return true;
    }
  }
  return false;
}

using ClassMessage = void (*)(Class*, Selector);

void send_load(Class* cls, MethodList* class_methods) {
  const Selector load = known_selectors().load;
  if (const Implementation implementation = method_in(class_methods, load)) {
    reinterpret_cast<ClassMessage>(implementation)(cls, load);
  }
}

void register_all(const Image& image) {
  const std::lock_guard lock(registry_mutex());
  for (Selector* reference = image.selector_references; reference < image.selector_references_end; ++reference) {
    *reference = selector(*reference);
  }
  for (Class** cls = image.classes; cls < image.classes_end; ++cls) {
    register_class(*cls);
  }
  for (Category** category = image.categories; category < image.categories_end; ++category) {
    add_category(**category);
  }
  for (Protocol** protocol = image.protocols; protocol < image.protocols_end; ++protocol) {
    register_protocol(*protocol);
  }
  // @protocol(Name) is the same object everywhere.
  for (Protocol** reference = image.protocol_references; reference < image.protocol_references_end; ++reference) {
    if (Protocol* first = find_protocol((*reference)->name)) {
      *reference = first;
    }
  }
  if (image.categories != image.categories_end) {
    for (Class* cls : registry().all_classes) {
      forget_methods(cls);
    }
  }
}

} // namespace

std::recursive_mutex& registry_mutex() {
  return registry().mutex;
}

Class* find_class(std::string_view name) {
  const std::lock_guard lock(registry_mutex());
  const auto found = registry().classes.find(name);
  return found == registry().classes.end() ? nullptr : found->second;
}

Protocol* find_protocol(std::string_view name) {
  const std::lock_guard lock(registry_mutex());
  const auto found = registry().protocols.find(name);
  return found == registry().protocols.end() ? nullptr : found->second;
}

bool conforms(Class* cls, std::string_view protocol) {
  const std::lock_guard lock(registry_mutex());
  for (; cls != nullptr; cls = cls->superclass) {
    if (contains(cls->data->protocols, protocol)) {
      return true;
    }
    for (ProtocolList* list : cls->record->category_protocols) {
      if (contains(list, protocol)) {
        return true;
      }
    }
  }
  return false;
}

bool is_metaclass(const Class* cls) {
  return (cls->data->flags & kIsMetaclass) != 0;
}

Class* class_of_metaclass(Class* metaclass) {
  const std::lock_guard lock(registry_mutex());
  const std::vector<Class*>& all = registry().all_classes;
  const auto found = std::find_if(all.begin(), all.end(),
                                  [metaclass](Class* cls) { return cls->isa == metaclass && !is_metaclass(cls); });
  return found == all.end() ? nullptr : *found;
}

Implementation own_method(Class* cls, Selector name) {
  const std::lock_guard lock(registry_mutex());
  const std::vector<MethodList*>& added = cls->record->category_methods;
  for (auto list = added.rbegin(); list != added.rend(); ++list) {
    if (const Implementation implementation = method_in(*list, name)) {
      return implementation;
    }
  }
  return method_in(cls->data->methods, name);
}

} // namespace metalsim::objc

using namespace metalsim::objc;

METALSIM_EXPORT void metalsim_register_image(const Image* image) {
  register_all(*image);
  for (Class** cls = image->classes; cls < image->classes_end; ++cls) {
    send_load(*cls, (*cls)->isa->data->methods);
  }
  for (Category** category = image->categories; category < image->categories_end; ++category) {
    send_load((*category)->cls, (*category)->class_methods);
  }
}
