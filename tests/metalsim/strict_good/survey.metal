#include <metal_atomic>
#include <metal_simdgroup>
#include <metal_stdlib>
using namespace metal;

// Pointers, references and classes in every form that Metal has.

typedef device float* Row;
using Operation = float (*)(float);
enum class Mode : uint { one, two };

template <typename T>
constexpr constant bool is_small_v = sizeof(T) <= 2;

struct Entry {
  int key;
  float value;
};

constant Entry entries[] = {{1, 2.0f}, {3, 4.0f}};

struct Params {
  int count;
  float scale;
  Entry inner[2];
  int twice() const constant { return 2 * count; }
  int twice() const thread { return 2 * count; }
  int twice() const device { return 2 * count; }
};

struct Complex {
  float re;
  float im;
  Complex() = default;
  constexpr Complex(float r, float i) : re(r), im(i) {}
  constexpr Complex(const thread Complex& other) : re(other.re), im(other.im) {}
  thread Complex& operator=(const thread Complex& other) thread {
    re = other.re;
    im = other.im;
    return *this;
  }
  thread Complex& operator+=(Complex other) {
    re += other.re;
    im += other.im;
    return *this;
  }
  explicit operator float() const thread { return re; }
};

union Bits {
  float number;
  uint bits;
};

template <typename T>
struct pointer_element {};
template <typename T>
struct pointer_element<thread T*> {
  using type = remove_cv_t<T>;
};
template <typename T>
struct pointer_element<device T*> {
  using type = remove_cv_t<T>;
};

template <typename T, int N>
T sum(const thread T (&values)[N]) {
  T total = 0;
  for (int i = 0; i < N; i++) {
    total += values[i];
  }
  return total;
}

template <typename T, int N>
T sum_of_tile(const threadgroup T (&values)[N]) {
  return values[0] + values[N - 1];
}

template <typename... Values>
void set_all(float value, thread Values&... values) {}

float twice(float value) {
  return 2 * value;
}

float second(thread float (*row)[2]) {
  return (*row)[1];
}

template <typename T>
[[kernel]] void scale(device T* data [[buffer(0)]],
                      constant Params& params [[buffer(1)]],
                      threadgroup T* shared [[threadgroup(0)]],
                      uint index [[thread_index_in_threadgroup]]) {
  shared[index] = data[index];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  data[index] = shared[index] * static_cast<T>(params.scale);
}

template [[host_name("scale_half")]] [[kernel]] void scale<half>(device half*, constant Params&, threadgroup half*, uint);
template [[host_name("scale_bfloat")]] [[kernel]] decltype(scale<bfloat>) scale<bfloat>;

kernel void survey(device float* data [[buffer(0)]],
                   constant Params& params [[buffer(1)]],
                   device Params* more [[buffer(2)]],
                   device atomic_int* counter [[buffer(3)]],
                   const device packed_float3* packed [[buffer(4)]],
                   device void* raw [[buffer(5)]],
                   uint index [[thread_index_in_threadgroup]]) {
  threadgroup float tile[32];
  threadgroup Params shared;
  threadgroup atomic_uint flag;
  Row row = data + 4;
  thread Row* rows = &row;
  device const float* const end = data + 32;
  float local[4] = {1, 2, 3, 4};
  float grid[2][2] = {{1, 2}, {3, 4}};
  thread float (*line)[2] = grid;
  float total = sum(local) + second(line);
  for (thread float& value : local) {
    value += 1.0f;
  }
  tile[index] = total;
  shared = more[0];
  shared.count = params.twice();
  atomic_store_explicit(&flag, 1u, memory_order_relaxed);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  total += sum_of_tile(tile) + shared.scale + more->twice() + params.inner[1].value + entries[index & 1].value;

  int exponent;
  float cosine;
  int expected = 0;
  total += frexp(total, exponent) + sincos(total, cosine);
  atomic_compare_exchange_weak_explicit(counter, &expected, 3, memory_order_relaxed, memory_order_relaxed);

  device float4* wide = (device float4*)(data + 4);
  total += wide->x + reinterpret_cast<threadgroup float2*>(tile)->y;
  *reinterpret_cast<device half4*>(data) = half4(1.0h);
  device float* typed = static_cast<device float*>(raw);
  thread void* anything = (thread void*)&total;
  total += *(thread float*)anything + *typed + float(end - data);

  Bits bits;
  bits.number = total;
  Complex z(1.0f, 2.0f);
  Complex w = z;
  w += z;
  z = w;
  Operation operation = twice;
  total += Mode(bits.bits & 1) == Mode::one ? operation(float(z)) : 0.0f;
  typename pointer_element<decltype(row)>::type element = row[0];
  set_all(1.0f, total, element);

  float3 direction = float3(packed[index]);
  direction.xy = direction.yx;
  bool3 is_large = direction > 1.0f;
  total = any(is_large) ? total : select(total, element, total > 1);
  total += is_small_v<half> ? rows[0][1] : simd_sum(total);
  data[index] = total;
}
