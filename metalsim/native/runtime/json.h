// Writes JSON text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace metalsim::json {

std::string string(std::string_view text);
std::string number(double value);
/// null where there is none.
std::string string_or_null(std::string_view text);

template <class Integer> std::string number_or_null(const std::optional<Integer>& value) {
  return value ? std::to_string(*value) : "null";
}

/// An object, member by member.
class Object {
public:
  /// `value` is JSON text.
  void add(std::string_view key, std::string_view value);
  std::string text() const { return "{" + members_ + "}"; }

private:
  std::string members_;
};

} // namespace metalsim::json
