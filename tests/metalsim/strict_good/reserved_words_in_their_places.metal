#include <metal_stdlib>
using namespace metal;

extern "C" kernel void first(device float* data [[buffer(0)]]) {
  data[0] = 1.0f;
}
[[kernel]] void second(device float* data [[buffer(0)]]) {
  data[0] = 1.0f;
}
kernel [[max_total_threads_per_threadgroup(64)]] void third(device float* data [[buffer(0)]]) {
  data[0] = 1.0f;
}
template <typename T> [[kernel]] void fourth(device T* data [[buffer(0)]]) {
  data[0] = T(1);
}
template [[host_name("fourth")]] [[kernel]] void fourth<float>(device float* data [[buffer(0)]]);
template <typename T, int N = 2> kernel void fifth(device T* data [[buffer(0)]]) {
  data[0] = T(N);
}
template [[host_name("fifth")]] kernel void fifth<float>(device float* data [[buffer(0)]]);

// Words that are Metal's only after a [[, or in namespace metal.
struct Tile {
  float compute, visible, sampler, kernel_size;
  const device float* source;

  float first() const thread { return source[0]; }
  float second() const thread;
  Tile() thread = default;
  Tile(const device float* data) thread : source(data) {}
  float operator()(const device float(&values)[2]) const device { return values[0]; }
};
float Tile::second() const thread {
  return source[1];
}

inline float sum(const thread float (&values)[2], const float device* bias) {
  return values[0] + values[1] + *bias;
}

kernel void sixth(device float* data [[buffer(0)]], uint simdgroup [[simdgroup_index_in_threadgroup]]) {
  const float values[2] = {1.0f, float(simdgroup)};

  Tile tile(data);
  tile.visible = sum(values, data);
  data[0] = tile.visible + reinterpret_cast<const device float*>(data)[1];
}

// Reserved for types at program scope only, and only as whole names.
namespace mine {
struct complex {
  float real, imaginary;
};
} // namespace mine
typedef bfloat bfloat16_t;
struct complex64_t {
  float real, imaginary;
};
template <typename complex> inline float real(complex value) {
  return value.real;
}

kernel void seventh(device float* data [[buffer(0)]]) {
  const float quad = data[0], imaginary = data[1];
  data[0] = real(mine::complex{quad, imaginary});
}
