// One kernel for each group of functions of Metal's standard library, but for those of test_library_functions.py.
// test_library.py and test_library_simdgroup.py dispatch them and compare with numpy and torch.
#include <metal_simdgroup_matrix>
#include <metal_stdlib>
using namespace metal;

// Conversions of scalars, and of vectors by their constructor.

template <typename From, typename To>
kernel void convert(const device From* from [[buffer(0)]], device To* to [[buffer(1)]],
                    uint i [[thread_position_in_grid]]) {
  to[i] = To(from[i]);
}
#define INSTANTIATE_CONVERT(NAME, FROM, TO)                                                                                 \
  template [[host_name("convert_" NAME)]] [[kernel]] void convert<FROM, TO>(const device FROM*, device TO*, uint);
INSTANTIATE_CONVERT("float_to_half", float, half)
INSTANTIATE_CONVERT("float_to_bfloat", float, bfloat)
INSTANTIATE_CONVERT("half_to_bfloat", half, bfloat)
INSTANTIATE_CONVERT("bfloat_to_half", bfloat, half)
INSTANTIATE_CONVERT("bfloat_to_float", bfloat, float)
INSTANTIATE_CONVERT("float_to_int", float, int)
INSTANTIATE_CONVERT("int_to_half", int, half)
INSTANTIATE_CONVERT("int_to_uchar", int, uchar)
INSTANTIATE_CONVERT("float_to_bool", float, bool)
INSTANTIATE_CONVERT("float4_to_half4", float4, half4)
INSTANTIATE_CONVERT("float4_to_bfloat4", float4, bfloat4)
INSTANTIATE_CONVERT("half4_to_bfloat4", half4, bfloat4)
INSTANTIATE_CONVERT("bfloat4_to_half4", bfloat4, half4)
INSTANTIATE_CONVERT("float4_to_int4", float4, int4)
INSTANTIATE_CONVERT("int4_to_float4", int4, float4)
INSTANTIATE_CONVERT("int4_to_uchar4", int4, uchar4)

// Arithmetic rounds every operation to the type.

template <typename T>
kernel void arithmetic(const device T* x [[buffer(0)]], const device T* y [[buffer(1)]], device T* out [[buffer(2)]],
                       uint i [[thread_position_in_grid]], uint count [[threads_per_grid]]) {
  const T product = x[i] * y[i];
  out[i] = product - x[i];
  out[count + i] = (x[i] + y[i]) / y[i];
}
template [[host_name("arithmetic_half")]] [[kernel]] void arithmetic<half>(const device half*, const device half*, device half*,
                                                                          uint, uint);
template [[host_name("arithmetic_bfloat")]] [[kernel]] void
arithmetic<bfloat>(const device bfloat*, const device bfloat*, device bfloat*, uint, uint);
template [[host_name("arithmetic_float")]] [[kernel]] void arithmetic<float>(const device float*, const device float*,
                                                                            device float*, uint, uint);

// Vectors: constructors, swizzles, scalars that become vectors, bits.

kernel void vectors(device float* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  const float2 a = float2(1.0f, 2.0f);
  const float4 b = float4(a, 3.0f, 4.0f);
  float3 c = b.wzy;
  c.xz = a;
  const int3 truncated = int3(float3(-1.7f, 1.7f, 2.0f));
  const float3 filled = float3(0.5f) + 1.0f;
  const half4 halves = half4(1.0h, half2(2.0h), 3.0h);
  const uint4 mixed = uint4(uint2(uchar2(7, 8)), uint2(short2(9, 10)));
  const float2 same = as_type<float2>(as_type<uint2>(a));
  const float4 results[] = {float4(c, b[3]),         float4(float3(truncated), 0.0f), float4(filled, b.yx.x),
                            float4(halves),          float4(mixed),                   float4(same, a.yx),
                            max(b, 2.5f),            clamp(b, 1.5f, 3.5f),            mix(b, b.wzyx, 0.25f),
                            select(b, -b, b > 2.0f), float4(b.rg, b.ba)};
  for (int row = 0; row < 11; ++row) {
    for (int column = 0; column < 4; ++column) {
      out[row * 4 + column] = results[row][column];
    }
  }
}

kernel void bool_vectors(const device float4* x [[buffer(0)]], const device bool4* mask [[buffer(1)]],
                         device bool4* out [[buffer(2)]], device uint* tests [[buffer(3)]],
                         uint i [[thread_position_in_grid]]) {
  const bool4 positive = x[i] > 0.0f;
  const bool4 chosen = mask[i];
  out[4 * i] = positive && chosen;
  out[4 * i + 1] = positive || !chosen;
  out[4 * i + 2] = isnan(x[i]) || isinf(x[i]);
  out[4 * i + 3] = bool4(chosen.w, chosen.z, chosen.y, chosen.x);
  tests[2 * i] = any(positive);
  tests[2 * i + 1] = all(positive);
}

// Types of the same elements that lie packed.

kernel void packed(const device packed_float3* x [[buffer(0)]], const device packed_half3* y [[buffer(1)]],
                   device packed_float3* out [[buffer(2)]], device float* lengths [[buffer(3)]],
                   uint i [[thread_position_in_grid]]) {
  const float3 sum = float3(x[i]) + float3(half3(y[i]));
  out[i] = sum.zyx;
  lengths[i] = dot(x[i], sum) + x[i].y + y[i][2] + length_squared(2.0f * x[i] - x[i]);
}

kernel void sizes(device uint* out [[buffer(0)]]) {
  const uint values[] = {
      sizeof(char2),         alignof(char2),         sizeof(char3),        alignof(char3),        sizeof(half3),
      alignof(half3),        sizeof(bfloat4),        alignof(bfloat4),     sizeof(float3),        alignof(float3),
      sizeof(float4),        alignof(float4),        sizeof(long2),        alignof(long2),        sizeof(ulong4),
      alignof(ulong4),       sizeof(bool2),          sizeof(bool3),        sizeof(bool4),         alignof(bool4),
      sizeof(packed_char3),  alignof(packed_char3),  sizeof(packed_half3), alignof(packed_half3), sizeof(packed_float3),
      alignof(packed_float3), sizeof(packed_float4), alignof(packed_float4), sizeof(float3x3),    alignof(float3x3),
      sizeof(half2x4),       sizeof(long),           sizeof(size_t),       sizeof(atomic_bool),   sizeof(array<half, 3>)};
  for (int i = 0; i < 35; ++i) {
    out[i] = values[i];
  }
}

// numeric_limits

template <typename T> kernel void limits(device T* out [[buffer(0)]], device int* digits [[buffer(1)]]) {
  out[0] = numeric_limits<T>::max();
  out[1] = numeric_limits<T>::lowest();
  out[2] = numeric_limits<T>::min();
  out[3] = numeric_limits<T>::epsilon();
  out[4] = numeric_limits<T>::infinity();
  out[5] = numeric_limits<T>::quiet_NaN();
  digits[0] = numeric_limits<T>::digits;
}
#define INSTANTIATE_LIMITS(T) template [[host_name("limits_" #T)]] [[kernel]] void limits<T>(device T*, device int*);
INSTANTIATE_LIMITS(float)
INSTANTIATE_LIMITS(half)
INSTANTIATE_LIMITS(bfloat)
INSTANTIATE_LIMITS(char)
INSTANTIATE_LIMITS(ushort)
INSTANTIATE_LIMITS(int)
INSTANTIATE_LIMITS(uint)
INSTANTIATE_LIMITS(long)
INSTANTIATE_LIMITS(ulong)

// Geometry and matrices of a thread.

kernel void geometry(const device packed_float3* x [[buffer(0)]], const device packed_float3* y [[buffer(1)]],
                     device float* out [[buffer(2)]], uint i [[thread_position_in_grid]]) {
  const float3 a = x[i];
  const float3 b = y[i];
  const float3 vectors[] = {cross(a, b), normalize(a), reflect(a, normalize(b)), faceforward(a, b, a)};
  device float* row = out + i * 16;
  for (int v = 0; v < 4; ++v) {
    for (int c = 0; c < 3; ++c) {
      row[v * 3 + c] = vectors[v][c];
    }
  }
  row[12] = dot(a, b);
  row[13] = length(a);
  row[14] = distance(a, b);
  row[15] = distance_squared(a, b);
}

kernel void matrices(const device float* x [[buffer(0)]], device float* out [[buffer(1)]]) {
  float3x3 a = float3x3(1.0f);
  float2x3 b = float2x3(float3(x[9], x[10], x[11]), float3(x[12], x[13], x[14]));
  for (int i = 0; i < 9; ++i) {
    a[i / 3][i % 3] = x[i];
  }
  const float2x3 product = a * b;
  const float3 transformed = a * b[0];
  const float2 from_left = a[0] * b;
  const float3x2 transposed = transpose(b);
  for (int i = 0; i < 6; ++i) {
    out[i] = product[i / 3][i % 3];
    out[6 + i] = transposed[i / 2][i % 2];
  }
  for (int i = 0; i < 3; ++i) {
    out[12 + i] = transformed[i];
  }
  out[15] = from_left.x;
  out[16] = from_left.y;
  out[17] = determinant(a);
}

// Exchanges of a simdgroup: every thread has a value of its own.

template <typename T>
kernel void exchange(const device T* in [[buffer(0)]], const device T* fill [[buffer(1)]], device T* out [[buffer(2)]],
                     constant uint& parameter [[buffer(3)]], uint i [[thread_position_in_grid]],
                     uint count [[threads_per_grid]]) {
  const T x = in[i];
  const T y = fill[i];
  const ushort p = ushort(parameter);
  out[i] = simd_shuffle(x, ushort((i * 7 + p) % 32));
  out[count + i] = simd_shuffle_xor(x, p);
  out[2 * count + i] = simd_shuffle_up(x, p);
  out[3 * count + i] = simd_shuffle_down(x, p);
  out[4 * count + i] = simd_shuffle_rotate_up(x, p);
  out[5 * count + i] = simd_shuffle_rotate_down(x, p);
  out[6 * count + i] = simd_shuffle_and_fill_up(x, y, p);
  out[7 * count + i] = simd_shuffle_and_fill_down(x, y, p);
  out[8 * count + i] = simd_broadcast(x, p);
  out[9 * count + i] = simd_broadcast_first(x);
  out[10 * count + i] = quad_shuffle(x, ushort((i + p) % 4));
  out[11 * count + i] = quad_shuffle_xor(x, ushort(p % 4));
  out[12 * count + i] = quad_broadcast(x, ushort(p % 4));
  out[13 * count + i] = quad_shuffle_rotate_up(x, ushort(p % 4));
  out[14 * count + i] = quad_shuffle_rotate_down(x, ushort(p % 4));
  out[15 * count + i] = simd_shuffle_and_fill_up(x, y, ushort(p % 8), ushort(8));
  out[16 * count + i] = simd_shuffle_and_fill_down(x, y, ushort(p % 8), ushort(8));
  out[17 * count + i] = quad_broadcast_first(x);
}
#define INSTANTIATE_EXCHANGE(T)                                                                                             \
  template [[host_name("exchange_" #T)]] [[kernel]] void exchange<T>(const device T*, const device T*, device T*,           \
                                                                     constant uint&, uint, uint);
INSTANTIATE_EXCHANGE(float)
INSTANTIATE_EXCHANGE(half)
INSTANTIATE_EXCHANGE(uchar)
INSTANTIATE_EXCHANGE(short)
INSTANTIATE_EXCHANGE(int)
INSTANTIATE_EXCHANGE(half4)
INSTANTIATE_EXCHANGE(float3)
INSTANTIATE_EXCHANGE(uint2)

template <typename T>
kernel void reduce(const device T* in [[buffer(0)]], device T* out [[buffer(1)]], uint i [[thread_position_in_grid]],
                   uint count [[threads_per_grid]]) {
  const T x = in[i];
  out[i] = simd_sum(x);
  out[count + i] = simd_product(x);
  out[2 * count + i] = simd_min(x);
  out[3 * count + i] = simd_max(x);
  out[4 * count + i] = simd_prefix_inclusive_sum(x);
  out[5 * count + i] = simd_prefix_exclusive_sum(x);
  out[6 * count + i] = simd_prefix_inclusive_product(x);
  out[7 * count + i] = simd_prefix_exclusive_product(x);
  out[8 * count + i] = quad_sum(x);
  out[9 * count + i] = quad_product(x);
  out[10 * count + i] = quad_min(x);
  out[11 * count + i] = quad_max(x);
  out[12 * count + i] = quad_prefix_inclusive_sum(x);
  out[13 * count + i] = quad_prefix_exclusive_sum(x);
}
#define INSTANTIATE_REDUCE(T) template [[host_name("reduce_" #T)]] [[kernel]] void reduce<T>(const device T*, device T*, uint, uint);
INSTANTIATE_REDUCE(float)
INSTANTIATE_REDUCE(half)
INSTANTIATE_REDUCE(char)
INSTANTIATE_REDUCE(ushort)
INSTANTIATE_REDUCE(int)
INSTANTIATE_REDUCE(uint)
INSTANTIATE_REDUCE(float2)

template <typename T>
kernel void reduce_bits(const device T* in [[buffer(0)]], device T* out [[buffer(1)]], uint i [[thread_position_in_grid]],
                        uint count [[threads_per_grid]]) {
  out[i] = simd_and(in[i]);
  out[count + i] = simd_or(in[i]);
  out[2 * count + i] = simd_xor(in[i]);
  out[3 * count + i] = quad_and(in[i]);
  out[4 * count + i] = quad_or(in[i]);
  out[5 * count + i] = quad_xor(in[i]);
}
template [[host_name("reduce_bits_int")]] [[kernel]] void reduce_bits<int>(const device int*, device int*, uint, uint);
template [[host_name("reduce_bits_uchar")]] [[kernel]] void reduce_bits<uchar>(const device uchar*, device uchar*, uint, uint);

kernel void votes(const device uint* in [[buffer(0)]], device uint* out [[buffer(1)]], uint i [[thread_position_in_grid]],
                  uint count [[threads_per_grid]]) {
  const bool vote = in[i] != 0;
  const simd_vote ballot = simd_ballot(vote);
  out[i] = uint(ulong(ballot));
  out[count + i] = ballot.any() + 2 * ballot.all();
  out[2 * count + i] = simd_any(vote) + 2 * simd_all(vote);
  out[3 * count + i] = uint(ulong(simd_active_threads_mask()));
  out[4 * count + i] = simd_is_first();
  out[5 * count + i] = quad_any(vote) + 2 * quad_all(vote);
  out[6 * count + i] = quad_is_first();
}

// Matrices of a simdgroup.

kernel void matrix_layout(const device float* in [[buffer(0)]], device float* out [[buffer(1)]],
                          ushort lane [[thread_index_in_simdgroup]]) {
  simdgroup_float8x8 matrix;
  simdgroup_load(matrix, in);
  const simdgroup_float8x8 diagonal = simdgroup_float8x8(3.0f);
  const simdgroup_float8x8 filled = make_filled_simdgroup_matrix<float, 8, 8>(5.0f);
  for (ushort i = 0; i < 2; ++i) {
    out[2 * lane + i] = matrix.thread_elements()[i];
  }
  simdgroup_store(diagonal, out + 64);
  simdgroup_store(filled, out + 128);
}

template <typename T>
kernel void matrix_access(const device T* in [[buffer(0)]], device T* out [[buffer(1)]], constant uint* shape [[buffer(2)]],
                          uint lane [[thread_index_in_simdgroup]]) {
  // shape: elements of a row, origin x and y, whether the load transposes, whether the store does
  threadgroup T tile[24 * 24];
  const ulong row = shape[0];
  const ulong2 origin = ulong2(shape[1], shape[2]);
  simdgroup_matrix<T, 8, 8> matrix;
  simdgroup_load(matrix, in, row, origin, shape[3] != 0);
  for (uint i = lane; i < 24 * 24; i += 32) {
    tile[i] = T(0.0f);
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  simdgroup_store(matrix, tile, 24, ulong2(2, 3), shape[4] != 0);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  simdgroup_matrix<T, 8, 8> again;
  simdgroup_load(again, tile, 24, ulong2(2, 3), shape[4] != 0);
  simdgroup_store(again, out, 8);
  for (uint i = lane; i < 24 * 24; i += 32) {
    out[64 + i] = tile[i];
  }
}
#define INSTANTIATE_ACCESS(T)                                                                                               \
  template [[host_name("matrix_access_" #T)]] [[kernel]] void matrix_access<T>(const device T*, device T*, constant uint*, uint);
INSTANTIATE_ACCESS(float)
INSTANTIATE_ACCESS(half)
INSTANTIATE_ACCESS(bfloat)

template <typename D, typename A, typename B>
kernel void matrix_product(const device A* a [[buffer(0)]], const device B* b [[buffer(1)]], const device D* c [[buffer(2)]],
                           device D* out [[buffer(3)]]) {
  simdgroup_matrix<A, 8, 8> x;
  simdgroup_matrix<B, 8, 8> y;
  simdgroup_matrix<D, 8, 8> z;
  simdgroup_matrix<D, 8, 8> product;
  simdgroup_load(x, a);
  simdgroup_load(y, b);
  simdgroup_load(z, c);
  simdgroup_multiply(product, x, y);
  simdgroup_multiply_accumulate(z, x, y, z);
  simdgroup_store(z, out);
  simdgroup_store(product, out + 64);
}
#define INSTANTIATE_PRODUCT(D, A, B)                                                                                        \
  template [[host_name("matrix_product_" #D "_" #A "_" #B)]] [[kernel]] void matrix_product<D, A, B>(                       \
      const device A*, const device B*, const device D*, device D*);
INSTANTIATE_PRODUCT(float, float, float)
INSTANTIATE_PRODUCT(float, half, half)
INSTANTIATE_PRODUCT(float, bfloat, bfloat)
INSTANTIATE_PRODUCT(float, float, half)
INSTANTIATE_PRODUCT(float, float, bfloat)
INSTANTIATE_PRODUCT(float, bfloat, half)
INSTANTIATE_PRODUCT(half, half, half)
INSTANTIATE_PRODUCT(bfloat, bfloat, bfloat)
INSTANTIATE_PRODUCT(float, half, float)
INSTANTIATE_PRODUCT(half, float, half)
INSTANTIATE_PRODUCT(half, float, bfloat)

// Atomics: all threads of the grid work on the same few.

kernel void atomics(device atomic_int* ints [[buffer(0)]], device atomic_uint* uints [[buffer(1)]],
                    device atomic_float* floats [[buffer(2)]], device uint* seen [[buffer(3)]],
                    uint i [[thread_position_in_grid]], uint t [[thread_index_in_threadgroup]]) {
  const int value = int(i) - 50;
  atomic_fetch_add_explicit(&ints[0], value, memory_order_relaxed);
  atomic_fetch_sub_explicit(&ints[1], value, memory_order_relaxed);
  atomic_fetch_min_explicit(&ints[2], value, memory_order_relaxed);
  atomic_fetch_max_explicit(&ints[3], value, memory_order_relaxed);
  atomic_fetch_and_explicit(&uints[0], ~(1u << (i % 32)), memory_order_relaxed);
  atomic_fetch_or_explicit(&uints[1], 1u << (i % 31), memory_order_relaxed);
  atomic_fetch_xor_explicit(&uints[2], i, memory_order_relaxed);
  seen[atomic_fetch_add_explicit(&uints[3], 1, memory_order_relaxed)] = i;
  atomic_fetch_add_explicit(&floats[0], 0.5f, memory_order_relaxed);
  atomic_fetch_sub_explicit(&floats[1], float(value), memory_order_relaxed);
  float expected = atomic_load_explicit(&floats[2], memory_order_relaxed);
  while (!atomic_compare_exchange_weak_explicit(&floats[2], &expected, expected * 1.5f, memory_order_relaxed,
                                                memory_order_relaxed)) {
  }
  threadgroup atomic_uint sum;
  if (t == 0) {
    atomic_store_explicit(&sum, 0, memory_order_relaxed);
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  atomic_fetch_add_explicit(&sum, t, memory_order_relaxed);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  if (t == 0) {
    atomic_fetch_add_explicit(&uints[4], atomic_exchange_explicit(&sum, 7u, memory_order_relaxed), memory_order_relaxed);
    atomic_fetch_add_explicit(&uints[5], atomic_load_explicit(&sum, memory_order_relaxed), memory_order_relaxed);
  }
}

// Positions.

kernel void positions(device uint* out [[buffer(0)]], uint3 in_grid [[thread_position_in_grid]],
                      ushort3 in_group [[thread_position_in_threadgroup]], uint3 group [[threadgroup_position_in_grid]],
                      uint3 grid [[threads_per_grid]], uint3 groups [[threadgroups_per_grid]],
                      ushort3 size [[threads_per_threadgroup]], ushort index [[thread_index_in_threadgroup]],
                      uint lane [[thread_index_in_simdgroup]], uint simdgroup [[simdgroup_index_in_threadgroup]],
                      uint simdgroups [[simdgroups_per_threadgroup]], ushort width [[threads_per_simdgroup]],
                      uint quad [[quadgroup_index_in_threadgroup]], uint in_quad [[thread_index_in_quadgroup]]) {
  device uint* row = out + ((in_grid.z * grid.y + in_grid.y) * grid.x + in_grid.x) * 16;
  const uint values[] = {group.x,   group.y,    group.z, in_group.x, in_group.y, in_group.z, groups.x, uint(size.x) * size.y * size.z,
                         index,     lane,       simdgroup, simdgroups, width,    quad,       in_quad,  grid.z};
  for (int i = 0; i < 16; ++i) {
    row[i] = values[i];
  }
}
