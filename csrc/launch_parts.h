// A long launch in parts, each a dispatch: macOS ends a command buffer that keeps the GPU too long (docs/limits.md).
//
// Pure arithmetic, like kernel_plan, which says what a launch's threadgroups have to do.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

namespace fused_attn {

/// How long a dispatch may take by the model, if nobody says otherwise.
inline constexpr double kMaxDispatchSeconds = 0.5;

/// Cycles of useful work that a scheduler of the slowest chip of a GPU family does in a second.
double useful_cycles(int64_t family);

/// What the threadgroups of a grid have to do, by the model: never run. A slice is what shares an index of the axis
/// that is cut first, such as a query tile of all heads and sequences.
struct Work {
  std::array<size_t, 3> axes; ///< of the grid, in the order in which they are cut: of slices, heads and sequences
  int64_t simdgroups;         ///< of a threadgroup
  double seconds_per_key;     ///< of a simdgroup that has a scheduler to itself
  int64_t schedulers;         ///< of the GPU: so many simdgroups run at a time
  double max_seconds;         ///< of a part
  int64_t rows;               ///< of a slice
  int64_t keys;               ///< that a threadgroup goes through, at most
  /// Of those, the rows of slice i see i * rows + position_offset - window_left and up to
  /// i * rows + rows - 1 + position_offset + window_right.
  int64_t position_offset, window_left, window_right;
  int64_t other_keys; ///< what a threadgroup does besides, as keys
  int64_t total_rows; ///< of all sequences together; 0: every sequence has all slices
};

/// A dispatch of a launch: threadgroups first, ..., first + threadgroups - 1 of its grid in each dimension.
struct Part {
  std::array<int64_t, 3> first, threadgroups;
  double seconds; ///< by the model, on a GPU that does nothing else; 0: no time to speak of
};

/// The parts of a grid, which cover it once. None takes longer than max_seconds, but where one simdgroup alone does:
/// then a part is no more than the GPU runs at a time.
class Parts {
public:
  /// Without `work`, the grid is one part.
  Parts(const std::array<int64_t, 3>& grid, const std::optional<Work>& work) : grid_(grid), work_(work) {}
  std::optional<Part> next();

private:
  struct Slice {
    double longest; ///< seconds of a simdgroup
    double busy;    ///< seconds of all schedulers, for a threadgroup
    int64_t live;   ///< threadgroups of a head that have something to do, at most
  };
  Slice slice(int64_t index) const;
  int64_t take_slices(Part& part) const;
  void cut_slice(Part& part) const;

  std::array<int64_t, 3> grid_;
  std::optional<Work> work_;
  std::array<int64_t, 3> next_{}; ///< where the next part begins
};

} // namespace fused_attn
