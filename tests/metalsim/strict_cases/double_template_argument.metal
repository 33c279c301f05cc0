// rule: metal-double
// at: 14
#include <metal_stdlib>
using namespace metal;

template <typename T>
struct Pair {
  T first;
  T second;
};

kernel void copy(device float* data [[buffer(0)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  Pair<double> pair;
  pair.first = 1;
  data[thread_index] = float(pair.first);
}
