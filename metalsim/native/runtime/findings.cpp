// Findings merged by place, and their JSON: request.h lists the keys.
#include "findings.h"

#include "json.h"
#include "observer.h"

namespace metalsim {

void Findings::add(const Finding& finding) {
  add(finding, running());
}

void Findings::add(const Finding& finding, const Running& thread) {
  add(finding, &thread);
}

void Findings::add(const Finding& finding, const Running* thread) {
  // Findings that differ in anything but thread and byte are different ones.
  const std::string space =
      finding.space + ' ' + json::number_or_null(finding.buffer) + ' ' + json::number_or_null(finding.size);
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto [position, is_new] =
      index_.try_emplace({finding.kind, space, finding.file, finding.line, finding.detail}, entries_.size());
  if (!is_new) {
    ++entries_[position->second].occurrences;
    return;
  }
  Place place = {};
  if (thread) {
    const uint32_t* threadgroup = thread->position->threadgroup_in_grid;
    place = {{threadgroup[0], threadgroup[1], threadgroup[2]}, thread->thread, thread->simdgroup, thread->lane};
  }
  entries_.push_back({finding, place, 1});
}

uint32_t Findings::size() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return static_cast<uint32_t>(entries_.size());
}

std::string Findings::json(const std::string& kernel) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::string list;
  for (const Entry& entry : entries_) {
    const Finding& finding = entry.first;
    const Place& place = entry.place;
    json::Object object;
    object.add("kind", json::string(finding.kind));
    object.add("kernel", json::string(kernel));
    object.add("threadgroup", "[" + std::to_string(place.threadgroup[0]) + ", " + std::to_string(place.threadgroup[1]) +
                                  ", " + std::to_string(place.threadgroup[2]) + "]");
    object.add("thread", std::to_string(place.thread));
    object.add("simdgroup", std::to_string(place.simdgroup));
    object.add("lane", std::to_string(place.lane));
    object.add("space", json::string_or_null(finding.space));
    object.add("buffer", json::number_or_null(finding.buffer));
    object.add("byte", json::number_or_null(finding.byte));
    object.add("size", json::number_or_null(finding.size));
    object.add("file", json::string_or_null(finding.file));
    object.add("line", finding.line ? std::to_string(finding.line) : "null");
    object.add("detail", json::string_or_null(finding.detail));
    object.add("occurrences", std::to_string(entry.occurrences));
    list += (list.empty() ? "" : ", ") + object.text();
  }
  return "[" + list + "]";
}

} // namespace metalsim
