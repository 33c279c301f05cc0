// Classes, categories and protocols of all libraries that are loaded.
#pragma once

#include "abi.h"

#include <mutex>
#include <string_view>
#include <vector>

namespace metalsim::objc {

/// What the runtime adds to a class.
struct ClassRecord {
  std::vector<MethodList*> category_methods; ///< the last one added is the first one asked
  std::vector<ProtocolList*> category_protocols;
  Implementation construct = nullptr; ///< of the class's own C++ instance variables
  Implementation destruct = nullptr;
  std::atomic<int64_t> live_objects{0};
  std::atomic<bool> is_initialized{false};     ///< +initialize has returned; of the class, not of its metaclass
  std::atomic<bool> has_counted_objects{true}; ///< false: constant strings and blocks, which have no header
};

/// Guards the tables of classes and every class's record but for its atomics.
std::recursive_mutex& registry_mutex();

Class* find_class(std::string_view name);
Protocol* find_protocol(std::string_view name);
bool conforms(Class* cls, std::string_view protocol);
bool is_metaclass(const Class* cls);
/// The class that a metaclass belongs to.
Class* class_of_metaclass(Class* metaclass);
/// The class's own method, not an inherited one.
Implementation own_method(Class* cls, Selector name);

} // namespace metalsim::objc
