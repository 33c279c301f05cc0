// Atomic variables in device and threadgroup memory. As in Metal the only order is relaxed, and which operations exist
// depends on the type: all of them for int and uint, no bitwise ones and no minimum for float, minimum and maximum only
// for ulong; and float and ulong are for device memory.
#pragma once

#include "barriers.h"
#include "type_traits.h"

namespace metalsim::shim {

template <typename T> inline constexpr bool is_atomic_integer = __is_same(T, int) || __is_same(T, uint);
template <typename T> inline constexpr bool is_atomic_sum = is_atomic_integer<T> || __is_same(T, float);
template <typename T>
inline constexpr bool is_atomic = is_atomic_sum<T> || __is_same(T, bool) || __is_same(T, ulong) || __is_same(T, long);
template <typename T> inline constexpr bool is_atomic_in_threadgroup = is_atomic_integer<T> || __is_same(T, bool);

} // namespace metalsim::shim

namespace metal {

template <typename T> struct atomic {
  static_assert(::metalsim::shim::is_atomic<T>, "there are atomic int, uint, bool, ulong and float");
  /// An atomic bool is as large as an int.
  conditional_t<__is_same(T, bool), uint, T> value;
};
typedef atomic<int> atomic_int;
typedef atomic<uint> atomic_uint;
typedef atomic<bool> atomic_bool;
typedef atomic<ulong> atomic_ulong;
typedef atomic<float> atomic_float;

#define METALSIM_RELAXED(ORDER)                                                                                        \
  __attribute__((enable_if(ORDER == memory_order_relaxed, "the order must be memory_order_relaxed")))
#define METALSIM_ATOMIC_OPERATION(SPACE, NAME, CONDITION)                                                              \
  template <typename T, typename U, METALSIM_REQUIRES((CONDITION) && __is_convertible_to(U, T))>                       \
  METALSIM_INLINE T atomic_##NAME##_explicit(volatile SPACE atomic<T>* object, U operand, memory_order order)          \
      METALSIM_RELAXED(order) {                                                                                        \
    return __atomic_##NAME((volatile T*)&object->value, static_cast<T>(operand), __ATOMIC_RELAXED);                    \
  }

#define METALSIM_ATOMICS(SPACE, IS_ALLOWED)                                                                            \
  template <typename T, METALSIM_REQUIRES(IS_ALLOWED)>                                                                 \
  METALSIM_INLINE T atomic_load_explicit(const volatile SPACE atomic<T>* object, memory_order order)                   \
      METALSIM_RELAXED(order) {                                                                                        \
    decltype(atomic<T>::value) result;                                                                                 \
    __atomic_load((const volatile decltype(result)*)&object->value, &result, __ATOMIC_RELAXED);                        \
    return static_cast<T>(result);                                                                                     \
  }                                                                                                                    \
  template <typename T, typename U, METALSIM_REQUIRES((IS_ALLOWED) && __is_convertible_to(U, T))>                      \
  METALSIM_INLINE void atomic_store_explicit(volatile SPACE atomic<T>* object, U desired, memory_order order)          \
      METALSIM_RELAXED(order) {                                                                                        \
    decltype(atomic<T>::value) value = static_cast<T>(desired);                                                        \
    __atomic_store((volatile decltype(value)*)&object->value, &value, __ATOMIC_RELAXED);                               \
  }                                                                                                                    \
  template <typename T, typename U, METALSIM_REQUIRES((IS_ALLOWED) && __is_convertible_to(U, T))>                      \
  METALSIM_INLINE T atomic_exchange_explicit(volatile SPACE atomic<T>* object, U desired, memory_order order)          \
      METALSIM_RELAXED(order) {                                                                                        \
    decltype(atomic<T>::value) value = static_cast<T>(desired);                                                        \
    decltype(atomic<T>::value) result;                                                                                 \
    __atomic_exchange((volatile decltype(value)*)&object->value, &value, &result, __ATOMIC_RELAXED);                   \
    return static_cast<T>(result);                                                                                     \
  }                                                                                                                    \
  template <typename T, typename U,                                                                                    \
            METALSIM_REQUIRES((IS_ALLOWED) && !__is_same(T, bool) && __is_convertible_to(U, T))>                       \
  METALSIM_INLINE bool atomic_compare_exchange_weak_explicit(volatile SPACE atomic<T>* object, T* expected, U desired, \
                                                             memory_order success, memory_order failure)               \
      METALSIM_RELAXED(success) METALSIM_RELAXED(failure) {                                                            \
    T value = static_cast<T>(desired);                                                                                 \
    return __atomic_compare_exchange((volatile T*)&object->value, expected, &value, true, __ATOMIC_RELAXED,            \
                                     __ATOMIC_RELAXED);                                                                \
  }                                                                                                                    \
  METALSIM_ATOMIC_OPERATION(SPACE, fetch_add, (IS_ALLOWED) && ::metalsim::shim::is_atomic_sum<T>)                      \
  METALSIM_ATOMIC_OPERATION(SPACE, fetch_sub, (IS_ALLOWED) && ::metalsim::shim::is_atomic_sum<T>)                      \
  METALSIM_ATOMIC_OPERATION(SPACE, fetch_and, ::metalsim::shim::is_atomic_integer<T>)                                  \
  METALSIM_ATOMIC_OPERATION(SPACE, fetch_or, ::metalsim::shim::is_atomic_integer<T>)                                   \
  METALSIM_ATOMIC_OPERATION(SPACE, fetch_xor, ::metalsim::shim::is_atomic_integer<T>)                                  \
  METALSIM_ATOMIC_OPERATION(SPACE, fetch_min, ::metalsim::shim::is_atomic_integer<T>)                                  \
  METALSIM_ATOMIC_OPERATION(SPACE, fetch_max, ::metalsim::shim::is_atomic_integer<T>)

METALSIM_ATOMICS(METALSIM_DEVICE_SPACE, ::metalsim::shim::is_atomic<T>)
METALSIM_ATOMICS(METALSIM_THREADGROUP_SPACE, ::metalsim::shim::is_atomic_in_threadgroup<T>)
#undef METALSIM_ATOMICS
#undef METALSIM_ATOMIC_OPERATION

template <typename U, METALSIM_REQUIRES(__is_convertible_to(U, ulong))>
METALSIM_INLINE void atomic_max_explicit(volatile METALSIM_DEVICE_SPACE atomic<ulong>* object, U operand,
                                         memory_order order) METALSIM_RELAXED(order) {
  __atomic_fetch_max((volatile ulong*)&object->value, static_cast<ulong>(operand), __ATOMIC_RELAXED);
}
template <typename U, METALSIM_REQUIRES(__is_convertible_to(U, ulong))>
METALSIM_INLINE void atomic_min_explicit(volatile METALSIM_DEVICE_SPACE atomic<ulong>* object, U operand,
                                         memory_order order) METALSIM_RELAXED(order) {
  __atomic_fetch_min((volatile ulong*)&object->value, static_cast<ulong>(operand), __ATOMIC_RELAXED);
}
#undef METALSIM_RELAXED

} // namespace metal
