#include <metal_stdlib>
using namespace metal;

// Whatever asks a comparison of vectors for true or false, in every form that Metal has.

struct Interval {
  float2 low;
  float2 high;
  bool2 contains(float2 point) const thread {
    return point >= low && point <= high;
  }
};

bool4 is_positive(float4 value) {
  return value > 0.0f;
}

uint count(bool4 marks) {
  return uint(marks.x) + uint(marks.y) + uint(marks.z) + uint(marks.w);
}

template <typename T, typename V>
V larger(V a, V b, T zero) {
  V result = select(a, b, a < b);
  bool4 is_zero = result == V(zero);
  return any(is_zero) || all(a < V(zero)) ? V(zero) : result;
}

kernel void copy(device float4* data [[buffer(0)]], device packed_float3* packed [[buffer(1)]],
                 uint thread_index [[thread_index_in_threadgroup]]) {
  float4 a = data[thread_index];
  float4 b = data[thread_index + 32];
  bool4 is_less = a < b;
  bool4 both = bool4(a < b && !(a < 0.0f) || a == b);
  bool4 joined = ((a < b) & (a != 0.0f)) | is_less;
  bool4 chosen = thread_index < 3 ? a < b : a >= b;
  bool4 marks[2] = {a < b, b < a};
  bool4 parts = bool4(a.xy < b.xy, b.zw < a.zw);
  bool2 low = (a < b).xy;
  vec<bool, 4> bits = vec<bool, 4>(a < b);
  is_less = a <= b;
  bool first = (a < b).x;
  if ((a < b).y || !(a == b)[1] || bool((a > b).z) || any(!(a < b)) || all((a < b) == (b > a))) {
    first = !first;
  }
  int total = (a < b).w ? 1 : 0;
  half4 narrow = select(half4(0), half4(1), half4(a) < half4(b));
  uint4 wide = select(uint4(0), uint4(1), uint4(a) > uint4(b) || is_less);
  float4 numbers = float4(bool4(a < b)) + float4(is_positive(b));
  Interval interval = {a.xy, b.xy};
  total += count(a < b) + count(joined) + count(both) + int(all(interval.contains(a.zw))) + int(bits[0]);
  total += any(float3(packed[0]) < float3(packed[1])) + count(chosen) + count(parts) + count(marks[1]) + int(low.x);
  data[thread_index] = larger(a, b, 0.0f) + numbers + float4(narrow) + float4(wide) + float(total) + float(first);
}
