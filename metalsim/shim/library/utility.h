// metal::array, uniform values and the log.
#pragma once

#include "type_traits.h"

namespace metal {

template <typename T, size_t N> struct array {
  T elements_[N];
  METALSIM_INLINE constexpr T& operator[](size_t i) { return elements_[i]; }
  METALSIM_INLINE constexpr const T& operator[](size_t i) const { return elements_[i]; }
  METALSIM_INLINE static constexpr size_t size() { return N; }
  METALSIM_INLINE static constexpr bool empty() { return N == 0; }
  METALSIM_INLINE constexpr T& front() { return elements_[0]; }
  METALSIM_INLINE constexpr const T& front() const { return elements_[0]; }
  METALSIM_INLINE constexpr T& back() { return elements_[N - 1]; }
  METALSIM_INLINE constexpr const T& back() const { return elements_[N - 1]; }
  METALSIM_INLINE constexpr T* data() { return elements_; }
  METALSIM_INLINE constexpr const T* data() const { return elements_; }
};

/// A value that is the same for all threads. The compiler here has no use for it.
template <typename T> using uniform = T;
template <typename T> METALSIM_INLINE constexpr T make_uniform(T value) {
  return value;
}

/// Messages are dropped: a simulated kernel has nobody to read them.
struct os_log {
  template <typename S, typename C> METALSIM_INLINE constexpr os_log(const S&, const C&) {}
  template <typename... A> METALSIM_INLINE void log(A...) const {}
  template <typename... A> METALSIM_INLINE void log_debug(A...) const {}
  template <typename... A> METALSIM_INLINE void log_info(A...) const {}
  template <typename... A> METALSIM_INLINE void log_error(A...) const {}
  template <typename... A> METALSIM_INLINE void log_fault(A...) const {}
};
inline constexpr os_log os_log_default(0, 0);
} // namespace metal
