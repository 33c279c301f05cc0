// Matrix products, shuffles, broadcasts and votes; reductions.cpp has the rest.
#include "collectives.h"

#include <immintrin.h>
#include <limits>

namespace metalsim {

namespace {

using abi::Collective;
using abi::kSimdWidth;

constexpr uint64_t kPoison = ~uint64_t{0};

void poison_elements(MatrixOperands& matrices, uint32_t lanes) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  for (; lanes; lanes &= lanes - 1) {
    const uint32_t offset = matrix_offset(first_lane(lanes));
    for (float* matrix : {matrices.a, matrices.b, matrices.c}) {
      matrix[offset] = kNan;
      matrix[offset + 1] = kNan;
    }
  }
}

/// Where a shuffle's lane reads.
struct Source {
  enum Kind { value, fill, own, nowhere } kind;
  uint32_t lane;
};

/// Lane `lane + distance` of a group of lanes [first, first + width), or where the operation says to look past its
/// ends.
Source moved(uint32_t lane, int64_t distance, uint32_t first, uint32_t width, Source::Kind outside) {
  const int64_t target = static_cast<int64_t>(lane) + distance;
  const bool inside = target >= first && target < int64_t{first} + width;
  // A fill is taken from the lane at which the source would be if the group went round: the upper lanes of `fill`
  // follow below the lower lanes of `value`.
  return {inside ? Source::value : outside, static_cast<uint32_t>(target & (kSimdWidth - 1))};
}

/// Lane `index` of a group of lanes.
Source chosen(uint32_t index, uint32_t first, uint32_t width) {
  return {index < width ? Source::value : Source::nowhere, first + index};
}

Source source_of(Collective op, uint32_t lane, uint32_t parameter, uint32_t mask) {
  constexpr uint32_t kQuad = 4;
  const uint32_t quad = lane / kQuad * kQuad;
  const int64_t distance = parameter;
  switch (op) {
  case Collective::shuffle:
  case Collective::broadcast:
    return chosen(parameter, 0, kSimdWidth);
  case Collective::shuffle_xor:
    return chosen(lane ^ parameter, 0, kSimdWidth);
  case Collective::shuffle_up:
    return moved(lane, -distance, 0, kSimdWidth, Source::own);
  case Collective::shuffle_down:
    return moved(lane, distance, 0, kSimdWidth, Source::own);
  case Collective::shuffle_rotate_up:
    return {Source::value, (lane - parameter) % kSimdWidth};
  case Collective::shuffle_rotate_down:
    return {Source::value, (lane + parameter) % kSimdWidth};
  case Collective::shuffle_and_fill_up:
    return moved(lane, -distance, 0, kSimdWidth, Source::fill);
  case Collective::shuffle_and_fill_down:
    return moved(lane, distance, 0, kSimdWidth, Source::fill);
  case Collective::broadcast_first:
    return {Source::value, first_lane(mask)};
  case Collective::quad_shuffle:
  case Collective::quad_broadcast:
    return chosen(parameter, quad, kQuad);
  case Collective::quad_shuffle_xor:
    return chosen((lane - quad) ^ parameter, quad, kQuad);
  case Collective::quad_shuffle_up:
    return moved(lane, -distance, quad, kQuad, Source::own);
  case Collective::quad_shuffle_down:
    return moved(lane, distance, quad, kQuad, Source::own);
  default:
    return {Source::nowhere, 0};
  }
}

uint32_t move_values(Simdgroup& simdgroup, Collective op, uint32_t mask) {
  uint32_t bad = 0;
  for (uint32_t lanes = mask; lanes; lanes &= lanes - 1) {
    const uint32_t lane = first_lane(lanes);
    const Source source = source_of(op, lane, simdgroup.parameter[lane], mask);
    const bool is_active = mask >> source.lane % kSimdWidth & 1;
    uint64_t& result = simdgroup.results[lane].value;
    if (source.kind == Source::own) {
      result = simdgroup.value[lane];
    } else if (source.kind == Source::nowhere || !is_active) {
      result = kPoison;
      bad |= 1u << lane;
    } else {
      result = (source.kind == Source::fill ? simdgroup.fill : simdgroup.value)[source.lane];
    }
  }
  return bad;
}

/// The commonest shuffles of a full simdgroup, without a test for each lane.
bool move_values_of_all(Simdgroup& simdgroup, Collective op) {
  const bool is_xor = op == Collective::shuffle_xor;
  if (!is_xor && op != Collective::shuffle) {
    return false;
  }
  uint32_t largest = 0;
  for (uint32_t lane = 0; lane < kSimdWidth; ++lane) {
    largest |= simdgroup.parameter[lane];
  }
  if (largest >= kSimdWidth) {
    return false;
  }
  for (uint32_t lane = 0; lane < kSimdWidth; ++lane) {
    const uint32_t source = simdgroup.parameter[lane] ^ (is_xor ? lane : 0);
    simdgroup.results[lane].value = simdgroup.value[source];
  }
  return true;
}

/// Metal demands the same lane of all: those that differ from the first one.
uint32_t different_parameters(const Simdgroup& simdgroup, uint32_t mask) {
  uint32_t different = 0;
  for (uint32_t lanes = mask; lanes; lanes &= lanes - 1) {
    const uint32_t lane = first_lane(lanes);
    different |= uint32_t{simdgroup.parameter[lane] != simdgroup.parameter[first_lane(mask)]} << lane;
  }
  return different;
}

template <class Value> void set_results(Simdgroup& simdgroup, uint32_t mask, Value value_of) {
  for (uint32_t lanes = mask; lanes; lanes &= lanes - 1) {
    const uint32_t lane = first_lane(lanes);
    simdgroup.results[lane].value = value_of(lane);
  }
}

uint32_t ballot(const Simdgroup& simdgroup, uint32_t mask) {
  uint32_t votes = 0;
  for (uint32_t lanes = mask; lanes; lanes &= lanes - 1) {
    const uint32_t lane = first_lane(lanes);
    votes |= uint32_t{simdgroup.value[lane] != 0} << lane;
  }
  return votes;
}

} // namespace

void multiply_matrices(Simdgroup& simdgroup, uint32_t mask) {
  MatrixOperands& matrices = simdgroup.matrices;
  if (mask != kAllLanes) {
    poison_elements(matrices, ~mask);
  }
  constexpr uint32_t kRows = 8;
  __m256 rows[kRows];
  for (uint32_t row = 0; row < kRows; ++row) {
    rows[row] = _mm256_load_ps(matrices.c + row * 8);
  }
  // Eight independent chains hide the latency of the multiply-add.
  for (uint32_t k = 0; k < kRows; ++k) {
    const __m256 b = _mm256_load_ps(matrices.b + k * 8);
    for (uint32_t row = 0; row < kRows; ++row) {
      rows[row] = _mm256_fmadd_ps(_mm256_broadcast_ss(matrices.a + row * 8 + k), b, rows[row]);
    }
  }
  for (uint32_t row = 0; row < kRows; ++row) {
    Result* left = simdgroup.results + (row & 4) * 4 + (row & 3) * 2;
    const __m128 low = _mm256_castps256_ps128(rows[row]);
    const __m128 high = _mm256_extractf128_ps(rows[row], 1);
    _mm_storel_pi(reinterpret_cast<__m64*>(&left[0].elements), low);
    _mm_storeh_pi(reinterpret_cast<__m64*>(&left[1].elements), low);
    _mm_storel_pi(reinterpret_cast<__m64*>(&left[8].elements), high);
    _mm_storeh_pi(reinterpret_cast<__m64*>(&left[9].elements), high);
  }
}

uint32_t run_collective(Simdgroup& simdgroup, Collective op, uint32_t mask) {
  constexpr uint32_t kQuad = 4;
  const uint32_t first = first_lane(mask);
  switch (op) {
  case Collective::ballot: {
    const uint32_t votes = ballot(simdgroup, mask);
    set_results(simdgroup, mask, [=](uint32_t) { return votes; });
    return 0;
  }
  case Collective::active_mask:
    set_results(simdgroup, mask, [=](uint32_t) { return mask; });
    return 0;
  case Collective::is_first:
    set_results(simdgroup, mask, [=](uint32_t lane) { return lane == first; });
    return 0;
  case Collective::reduce:
    reduce(simdgroup, simdgroup.parameter[first], mask, 0, kSimdWidth);
    return 0;
  case Collective::quad_reduce:
    for (uint32_t quad = 0; quad < kSimdWidth; quad += kQuad) {
      reduce(simdgroup, simdgroup.parameter[first], mask, quad, kQuad);
    }
    return 0;
  case Collective::broadcast:
    return move_values(simdgroup, op, mask) | different_parameters(simdgroup, mask);
  default:
    if (mask == kAllLanes && move_values_of_all(simdgroup, op)) {
      return 0;
    }
    return move_values(simdgroup, op, mask);
  }
}

} // namespace metalsim
