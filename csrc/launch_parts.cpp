#include "launch_parts.h"

#include <algorithm>
#include <iterator>

namespace fused_attn {
namespace {

/// The clock of the slowest chip of a family.
struct Clock {
  int64_t last_family;
  double hertz;
};
constexpr Clock kClocks[] = {
    {7, 1.278e9},                // M1 [philipturner/metal-benchmarks]
    {8, 1.398e9},                // M2 [philipturner/metal-benchmarks]
    {9, 1.38e9},                 // M3 [philipturner/applegpuinfo#12]; M4 has 1.47 or more
    {int64_t{1} << 20, 1.578e9}, // M5 [michaelstinkerings.org]
};

/// Share of the cycles that does useful work. Of published attention kernels, MLX's with fp32 at D128 on M1 Max is the
/// slowest: 4.2 of 10.6 TFLOP/s, 40 % [marcogva-hub/mlx-flashattention-steel, docs/benchmarks/RESULTS.md]. The cost
/// model of metalsim gives ours 75 to 92 %: the rest is for a GPU that is throttled or shared, and for what no one
/// knows.
constexpr double kUsefulShare = 0.4;

} // namespace

double useful_cycles(int64_t family) {
  const Clock* clock = std::find_if(std::begin(kClocks), std::end(kClocks) - 1,
                                    [&](const Clock& entry) { return family <= entry.last_family; });
  return clock->hertz * kUsefulShare;
}

Parts::Slice Parts::slice(int64_t index) const {
  const Work& work = *work_;
  const int64_t position = index * work.rows + work.position_offset;
  const int64_t begin = std::clamp<int64_t>(position - work.window_left, 0, work.keys);
  const int64_t end = std::clamp<int64_t>(position + work.rows + work.window_right, begin, work.keys);
  const int64_t sequences = grid_[work.axes[2]];
  Slice slice;
  slice.longest = static_cast<double>(end - begin + work.other_keys) * work.seconds_per_key;
  slice.busy = slice.longest * static_cast<double>(work.simdgroups) / static_cast<double>(work.schedulers);
  // A sequence that has this slice has all rows before it, too.
  slice.live =
      work.total_rows == 0 ? sequences : std::clamp<int64_t>(work.total_rows / (index * work.rows + 1), 1, sequences);
  return slice;
}

/// Takes as many slices as there is time for, at least one. Simdgroups that are shared out among schedulers as these
/// become free are done after the mean of the schedulers' work and the longest simdgroup, at the latest (Graham, 1966).
int64_t Parts::take_slices(Part& part) const {
  const size_t axis = work_->axes[0];
  const auto heads = static_cast<double>(grid_[work_->axes[1]]);
  double longest = 0;
  double busy = 0;
  int64_t slices = 0;
  for (; next_[axis] + slices < grid_[axis]; ++slices) {
    const Slice more = slice(next_[axis] + slices);
    const double longest_with = std::max(longest, more.longest);
    const double busy_with = busy + heads * static_cast<double>(more.live) * more.busy;
    if (slices > 0 && longest_with + busy_with > work_->max_seconds) {
      break;
    }
    longest = longest_with;
    busy = busy_with;
  }
  part.threadgroups[axis] = slices;
  part.seconds = longest + busy;
  return slices;
}

/// Cuts a part of one slice, which takes too long, along the other axes. All parts of a slice are cut alike.
void Parts::cut_slice(Part& part) const {
  const auto [slices, heads, sequences] = work_->axes;
  const Slice all = slice(next_[slices]);
  // So many run at a time, and take as long as one does.
  const int64_t together = std::max<int64_t>(work_->schedulers / work_->simdgroups, 1);
  const double left = std::max(work_->max_seconds - all.longest, 0.0);
  const int64_t most = std::max(static_cast<int64_t>(left / all.busy), together);
  const int64_t some_heads = std::clamp<int64_t>(most / all.live, 1, grid_[heads]);
  const int64_t some_sequences = most < all.live ? most : grid_[sequences];
  part.threadgroups[heads] = std::min(some_heads, grid_[heads] - next_[heads]);
  part.threadgroups[sequences] = std::min(some_sequences, grid_[sequences] - next_[sequences]);
  const int64_t taken = part.threadgroups[heads] * std::min(part.threadgroups[sequences], all.live);
  part.seconds = all.longest + (taken <= together ? 0.0 : static_cast<double>(taken) * all.busy);
}

std::optional<Part> Parts::next() {
  const std::array<size_t, 3> axes = work_ ? work_->axes : std::array<size_t, 3>{0, 1, 2};
  if (next_[axes[0]] >= grid_[axes[0]]) {
    return std::nullopt;
  }
  Part part{next_, grid_, 0.0};
  int64_t slices = grid_[axes[0]];
  if (work_) {
    slices = take_slices(part);
    if (slices == 1 && part.seconds > work_->max_seconds) {
      cut_slice(part);
    }
  }
  // On to the next sequences; after the last, to the next heads; after these, to the next slices.
  next_[axes[2]] += part.threadgroups[axes[2]];
  if (next_[axes[2]] >= grid_[axes[2]]) {
    next_[axes[2]] = 0;
    next_[axes[1]] += part.threadgroups[axes[1]];
  }
  if (next_[axes[1]] >= grid_[axes[1]]) {
    next_[axes[1]] = 0;
    next_[axes[0]] += slices;
  }
  return part;
}

} // namespace fused_attn
