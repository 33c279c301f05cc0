// Reads the few fields it needs out of the runtime's JSON, whose form is known: no parser for the whole of JSON.
#include "finding_text.h"

namespace metalsim::metal {

namespace {

/// Reads the string that begins behind the quotation mark at `at`.
std::string string_at(const std::string& json, size_t at) {
  std::string text;
  for (; at < json.size() && json[at] != '"'; ++at) {
    if (json[at] == '\\' && at + 1 < json.size()) {
      ++at;
    }
    text += json[at];
  }
  return text;
}

/// A field of the first object that has it; empty if it is null or not there.
std::string field(const std::string& json, const std::string& name) {
  const std::string key = "\"" + name + "\": ";
  const size_t found = json.find(key);
  if (found == std::string::npos) {
    return "";
  }
  const size_t begin = found + key.size();
  if (json[begin] == '"') {
    return string_at(json, begin + 1);
  }
  const std::string value = json.substr(begin, json.find_first_of(",}", begin) - begin);
  return value == "null" ? "" : value;
}

} // namespace

std::string first_finding(const std::string& json) {
  const size_t findings = json.find("\"findings\": [");
  if (findings == std::string::npos) {
    return json;
  }
  const std::string first = json.substr(findings);
  std::string sentence = field(first, "detail");
  if (sentence.empty()) {
    sentence = field(first, "kind");
  }
  if (const std::string buffer = field(first, "buffer"); !buffer.empty()) {
    sentence += " (buffer " + buffer;
    const std::string byte = field(first, "byte");
    sentence += byte.empty() ? ")" : ", byte " + byte + ")";
  }
  if (const std::string file = field(first, "file"); !file.empty()) {
    sentence += ", at " + file + ":" + field(first, "line");
  }
  return sentence;
}

} // namespace metalsim::metal
