// expect: OutOfBoundsError
// at: 21
// place: buffer 0, byte -17179869184
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [32], "buffers": {
//   "0": {"dtype": "float32", "shape": [64], "fill": "normal"},
//   "1": {"dtype": "float32", "shape": [32], "fill": 0},
//   "2": {"dtype": "uint32", "values": [4]},
//   "3": {"dtype": "uint32", "values": [1073741824]},
//   "4": {"dtype": "int64", "values": [4294967296]}
// }}
// The offset of a slot of a large pool is multiplied in 32 bits and wraps round: the kernel reads 16 GiB before
// its part of the pool.
#include <metal_stdlib>
using namespace metal;

// `pool` is bound at the element `origin` of a pool that is larger than 32 bits can count.
kernel void read_slot(const device float* pool [[buffer(0)]], device float* slot_values [[buffer(1)]],
                      constant uint& slot [[buffer(2)]], constant uint& slot_stride [[buffer(3)]],
                      constant long& origin [[buffer(4)]], uint i [[thread_position_in_grid]]) {
  ulong start = slot * slot_stride;
  slot_values[i] = pool[long(start) - origin + long(i)];
}
