// expect: OutOfBoundsError
// at: 16
// place: buffer 0, byte 12
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [3], "buffers": {
//   "0": {"dtype": "int32", "values": [0, 3, 7]},
//   "1": {"dtype": "int32", "values": [0, 0, 0]}
// }}
// The offsets of the sequences lack their last element, the total: the end of the last sequence lies past the
// buffer.
#include <metal_stdlib>
using namespace metal;

kernel void sequence_lengths(const device int* cu_seqlens [[buffer(0)]], device int* lengths [[buffer(1)]],
                             uint sequence [[thread_position_in_grid]]) {
  int begin = cu_seqlens[sequence];
  int end = cu_seqlens[sequence + 1];
  lengths[sequence] = end - begin;
}
