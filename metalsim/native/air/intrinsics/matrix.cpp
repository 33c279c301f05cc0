// Where the two elements that a lane holds of an 8x8 matrix are: the layout that abi.h draws, for ../matrices.cpp.

#include "intrinsics.h"

namespace {

struct Place {
  uint32_t row;
  uint32_t column;
};

Place place_of(uint32_t element) {
  uint32_t lane = metalsim_position()->thread_index_in_simdgroup;
  uint32_t quad = lane / 4;
  return {(quad & 4) + lane / 2 % 4, (quad & 2) * 2 + lane % 2 * 2 + element};
}

} // namespace

/// Index of an element in memory. The origin is a place of the memory, so it is not swapped with row and column.
extern "C" uint64_t metalsim_air_matrix_offset(uint64_t elements_per_row, uint64_t origin_x, uint64_t origin_y,
                                               bool transpose, uint32_t element) {
  Place place = place_of(element);
  uint64_t x = origin_x + (transpose ? place.row : place.column);
  uint64_t y = origin_y + (transpose ? place.column : place.row);
  return y * elements_per_row + x;
}

extern "C" bool metalsim_air_matrix_is_diagonal(uint32_t element) {
  Place place = place_of(element);
  return place.row == place.column;
}
