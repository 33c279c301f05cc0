// What the race checks remember of an access to a few bytes of memory, in 64 bits.
//
// Threads of a threadgroup are ordered by barriers only. Barriers divide the life of a threadgroup into intervals,
// counted for each kind of memory, since a barrier orders the kinds that its flags name; simdgroup barriers divide an
// interval once more, for one simdgroup. Two accesses of different threads are unordered exactly if they are in the
// same interval and not of one simdgroup in different simdgroup intervals. Threadgroups are not ordered at all; in a
// checked dispatch one runs after the other, so that an access before the running threadgroup's first interval is
// another threadgroup's.
//
// Bytes keep two records, of writes and of reads. A record holds the last access and what must not be forgotten about
// the ones before it; nothing else can make a later access unordered, because the order is this simple.
#pragma once

#include <cstdint>

namespace metalsim::checker {

/// 0 = never accessed.
using Record = uint64_t;

inline constexpr uint32_t kMaxInterval = (1u << 16) - 1;
inline constexpr uint32_t kMaxSimdgroupInterval = (1u << 16) - 1;
/// Sites above are not told apart in the message about the other access of a race.
inline constexpr uint32_t kMaxSite = (1u << 18) - 1;

inline constexpr Record kAtomicRecord = Record{1} << 44;       ///< atomic, and so are all accesses that it stands for
inline constexpr Record kManyThreads = Record{1} << 45;        ///< also another thread, in the same simdgroup interval
inline constexpr Record kManySimdgroups = Record{1} << 46;     ///< also another simdgroup, in the same interval
inline constexpr Record kEarlierThreadgroup = Record{1} << 47; ///< also another threadgroup
inline constexpr Record kIntervalField = Record{kMaxInterval} << 48;

constexpr uint32_t thread_of(Record record) {
  return record & 1023;
}
constexpr uint32_t simdgroup_of(Record record) {
  return (record & 1023) / 32;
}
constexpr uint32_t simdgroup_interval_of(Record record) {
  return record >> 10 & kMaxSimdgroupInterval;
}
constexpr uint32_t site_of(Record record) {
  return record >> 26 & kMaxSite;
}
constexpr uint32_t interval_of(Record record) {
  return static_cast<uint32_t>(record >> 48);
}

constexpr Record make_record(uint32_t thread, uint32_t simdgroup_interval, uint32_t site, uint32_t interval) {
  const uint32_t known_site = site < kMaxSite ? site : kMaxSite;
  return Record{thread} | Record{simdgroup_interval} << 10 | Record{known_site} << 26 | Record{interval} << 48;
}

/// The access that is being checked.
struct Access {
  Record record;
  Record first_interval; ///< of the running threadgroup, in the place of kIntervalField
};

/// Whether the accesses that `past` stands for contain one of another thread that no barrier orders before `now`.
inline bool unordered(Record past, const Access& now) {
  const Record interval = past & kIntervalField;
  if (interval != (now.record & kIntervalField)) {
    return past != 0 && ((past & kEarlierThreadgroup) != 0 || interval < now.first_interval);
  }
  if ((past & (kEarlierThreadgroup | kManySimdgroups)) != 0 || simdgroup_of(past) != simdgroup_of(now.record)) {
    return true;
  }
  if (simdgroup_interval_of(past) != simdgroup_interval_of(now.record)) {
    return false;
  }
  return thread_of(past) != thread_of(now.record) || (past & kManyThreads) != 0;
}

/// Whether `past` is the same instruction's access by another thread of the simdgroup, and nothing else's. The threads
/// of a simdgroup store together: where they store the same value to the same place it does not matter whose is the
/// last.
inline bool of_one_instruction(Record past, const Access& now) {
  constexpr Record others = kManyThreads | kManySimdgroups | kEarlierThreadgroup;
  return (past & others) == 0 && (past & kIntervalField) == (now.record & kIntervalField) &&
         simdgroup_of(past) == simdgroup_of(now.record) &&
         simdgroup_interval_of(past) == simdgroup_interval_of(now.record) && site_of(past) == site_of(now.record) &&
         site_of(past) != kMaxSite;
}

/// `now` as the record of itself and of the past accesses of its kind.
inline Record merged(Record past, const Access& now) {
  const Record interval = past & kIntervalField;
  Record record = now.record;
  if ((past & kEarlierThreadgroup) != 0 || (past != 0 && interval < now.first_interval)) {
    record |= kEarlierThreadgroup;
  }
  if (interval != (now.record & kIntervalField)) {
    return record;
  }
  if ((past & kManySimdgroups) != 0 || simdgroup_of(past) != simdgroup_of(now.record)) {
    return record | kManySimdgroups;
  }
  const bool same_simdgroup_interval = simdgroup_interval_of(past) == simdgroup_interval_of(now.record);
  const bool many = thread_of(past) != thread_of(now.record) || (past & kManyThreads) != 0;
  return same_simdgroup_interval && many ? record | kManyThreads : record;
}

} // namespace metalsim::checker
