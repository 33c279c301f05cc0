// rule: none
// at: 9
// report: gfx-rs/naga#1643: "cannot take the address of an rvalue"
#include <metal_stdlib>
using namespace metal;

kernel void copy(device float* data [[buffer(0)]], uint thread_index [[thread_index_in_threadgroup]]) {
  device atomic_uint* counts = reinterpret_cast<device atomic_uint*>(data);
  atomic_fetch_max_explicit(&uint(thread_index) < 256 ? counts : counts + 1, 1u, memory_order_relaxed);
}
