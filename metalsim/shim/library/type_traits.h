// metal::is_same and its like, made of the compiler's own traits: namespace std does not exist in Metal.
//
// The traits of numbers hold for vectors of such numbers too. void_t, is_empty and pointer_element are missing in
// Apple's library, and users define them in namespace metal.
#pragma once

#include "types.h"

namespace metal {

template <typename T, T V> struct integral_constant {
  static constexpr T value = V;
  using value_type = T;
  using type = integral_constant;
  METALSIM_INLINE constexpr operator T() const noexcept { return V; }
  METALSIM_INLINE constexpr T operator()() const noexcept { return V; }
};
template <bool B> using bool_constant = integral_constant<bool, B>;
using true_type = bool_constant<true>;
using false_type = bool_constant<false>;

template <bool B, typename T = void> struct enable_if {};
template <typename T> struct enable_if<true, T> {
  using type = T;
};
template <bool B, typename T = void> using enable_if_t = typename enable_if<B, T>::type;

template <bool B, typename T, typename F> struct conditional {
  using type = T;
};
template <typename T, typename F> struct conditional<false, T, F> {
  using type = F;
};
template <bool B, typename T, typename F> using conditional_t = typename conditional<B, T, F>::type;

template <typename T> struct type_identity {
  using type = T;
};

#define METALSIM_TRANSFORM(NAME, BUILTIN)                                                                              \
  template <typename T> struct NAME {                                                                                  \
    using type = BUILTIN(T);                                                                                           \
  };                                                                                                                   \
  template <typename T> using NAME##_t = typename NAME<T>::type;
METALSIM_TRANSFORM(remove_const, __remove_const)
METALSIM_TRANSFORM(remove_volatile, __remove_volatile)
METALSIM_TRANSFORM(remove_cv, __remove_cv)
METALSIM_TRANSFORM(remove_reference, __remove_reference_t)
METALSIM_TRANSFORM(remove_pointer, __remove_pointer)
METALSIM_TRANSFORM(remove_extent, __remove_extent)
METALSIM_TRANSFORM(remove_all_extents, __remove_all_extents)
METALSIM_TRANSFORM(add_lvalue_reference, __add_lvalue_reference)
METALSIM_TRANSFORM(add_rvalue_reference, __add_rvalue_reference)
METALSIM_TRANSFORM(add_pointer, __add_pointer)
METALSIM_TRANSFORM(decay, __decay)
METALSIM_TRANSFORM(underlying_type, __underlying_type)
METALSIM_TRANSFORM(make_signed, __make_signed)
METALSIM_TRANSFORM(make_unsigned, __make_unsigned)
#undef METALSIM_TRANSFORM

template <typename T> struct add_const {
  using type = const T;
};
template <typename T> using add_const_t = const T;
template <typename T> struct add_volatile {
  using type = volatile T;
};
template <typename T> using add_volatile_t = volatile T;
template <typename T> struct add_cv {
  using type = const volatile T;
};
template <typename T> using add_cv_t = const volatile T;

/// A type without its address space and without const and volatile.
template <typename T> struct remove_addrspace {
  using type = remove_cv_t<T>;
};
template <typename T> struct remove_addrspace<METALSIM_DEVICE_SPACE T> {
  using type = remove_cv_t<T>;
};
template <typename T> struct remove_addrspace<const METALSIM_DEVICE_SPACE T> {
  using type = remove_cv_t<T>;
};
template <typename T> struct remove_addrspace<METALSIM_CONSTANT_SPACE T> {
  using type = remove_cv_t<T>;
};
template <typename T> struct remove_addrspace<const METALSIM_CONSTANT_SPACE T> {
  using type = remove_cv_t<T>;
};
template <typename T> struct remove_addrspace<METALSIM_THREADGROUP_SPACE T> {
  using type = remove_cv_t<T>;
};
template <typename T> struct remove_addrspace<const METALSIM_THREADGROUP_SPACE T> {
  using type = remove_cv_t<T>;
};
template <typename T> using remove_addrspace_t = typename remove_addrspace<T>::type;

} // namespace metal

namespace metalsim::shim {

template <typename T> struct ElementOf {
  using type = T;
};
template <typename T, int N> struct ElementOf<metal::vec<T, N>> {
  using type = T;
};
/// The type of a vector's components, of a scalar itself.
template <typename T> using Element = typename ElementOf<metal::remove_addrspace_t<T>>::type;

template <typename T>
inline constexpr bool is_floating_number = __is_same(T, float) || __is_same(T, half) || __is_same(T, bfloat);

template <typename T> struct IsVector : metal::false_type {};
template <typename T, int N> struct IsVector<metal::vec<T, N>> : metal::true_type {};

} // namespace metalsim::shim

namespace metal {

#define METALSIM_TRAIT(NAME, ...)                                                                                      \
  template <typename T> struct NAME : bool_constant<(__VA_ARGS__)> {};                                                 \
  template <typename T> inline constexpr bool NAME##_v = (__VA_ARGS__);
METALSIM_TRAIT(is_floating_point, ::metalsim::shim::is_floating_number<::metalsim::shim::Element<T>>)
METALSIM_TRAIT(is_integral, __is_integral(::metalsim::shim::Element<T>))
METALSIM_TRAIT(is_vector, ::metalsim::shim::IsVector<remove_addrspace_t<T>>::value)
METALSIM_TRAIT(is_arithmetic, is_integral_v<T> || is_floating_point_v<T>)
METALSIM_TRAIT(is_pointer, __is_pointer(T))
METALSIM_TRAIT(is_scalar, (is_arithmetic_v<T> && !is_vector_v<T>) || __is_enum(T) || __is_pointer(T))
METALSIM_TRAIT(is_void, __is_void(T))
METALSIM_TRAIT(is_array, __is_array(T))
METALSIM_TRAIT(is_enum, __is_enum(T))
METALSIM_TRAIT(is_class, __is_class(T))
METALSIM_TRAIT(is_union, __is_union(T))
METALSIM_TRAIT(is_function, __is_function(T))
METALSIM_TRAIT(is_reference, __is_reference(T))
METALSIM_TRAIT(is_lvalue_reference, __is_lvalue_reference(T))
METALSIM_TRAIT(is_rvalue_reference, __is_rvalue_reference(T))
METALSIM_TRAIT(is_fundamental, is_arithmetic_v<T> || __is_void(T))
METALSIM_TRAIT(is_object, __is_object(T))
METALSIM_TRAIT(is_compound, __is_compound(T))
METALSIM_TRAIT(is_const, __is_const(T))
METALSIM_TRAIT(is_volatile, __is_volatile(T))
METALSIM_TRAIT(is_trivial, __is_trivial(T))
METALSIM_TRAIT(is_trivially_copyable, __is_trivially_copyable(T))
METALSIM_TRAIT(is_standard_layout, __is_standard_layout(T))
METALSIM_TRAIT(is_signed, is_floating_point_v<T> || __is_signed(::metalsim::shim::Element<T>))
METALSIM_TRAIT(is_unsigned, __is_unsigned(::metalsim::shim::Element<T>))
METALSIM_TRAIT(is_default_constructible, __is_constructible(T))
METALSIM_TRAIT(is_copy_constructible, __is_constructible(T, const T&))
#undef METALSIM_TRAIT

#define METALSIM_RELATION(NAME, BUILTIN)                                                                               \
  template <typename T, typename U> struct NAME : bool_constant<BUILTIN(T, U)> {};                                     \
  template <typename T, typename U> inline constexpr bool NAME##_v = BUILTIN(T, U);
METALSIM_RELATION(is_same, __is_same)
METALSIM_RELATION(is_base_of, __is_base_of)
METALSIM_RELATION(is_convertible, __is_convertible_to)
METALSIM_RELATION(is_assignable, __is_assignable)
#undef METALSIM_RELATION

template <typename T, typename... A> struct is_constructible : bool_constant<__is_constructible(T, A...)> {};
template <typename T, typename... A> inline constexpr bool is_constructible_v = __is_constructible(T, A...);

template <typename T> struct alignment_of : integral_constant<size_t, alignof(T)> {};
template <typename T> struct rank : integral_constant<size_t, __array_rank(T)> {};

/// The type of a vector's components.
template <typename T> struct make_scalar {
  using type = ::metalsim::shim::Element<T>;
};
template <typename T> using make_scalar_t = typename make_scalar<T>::type;

/// How many components a vector has; 1 for a scalar.
template <typename T> struct vec_elements : integral_constant<ushort, 1> {};
template <typename T, int N> struct vec_elements<vec<T, N>> : integral_constant<ushort, N> {};

template <typename... B> struct _disjunction : bool_constant<(B::value || ...)> {};
template <typename... B> struct _conjunction : bool_constant<(B::value && ...)> {};
template <typename B> struct _negation : bool_constant<!B::value> {};

template <typename T> add_rvalue_reference_t<T> declval() noexcept;

template <typename... T> struct common_type;
template <typename T> struct common_type<T> {
  using type = decay_t<T>;
};
template <typename T, typename U> struct common_type<T, U> {
  using type = decay_t<decltype(false ? declval<T>() : declval<U>())>;
};
template <typename T, typename U, typename... R> struct common_type<T, U, R...> {
  using type = typename common_type<typename common_type<T, U>::type, R...>::type;
};
template <typename... T> using common_type_t = typename common_type<T...>::type;

template <typename T, T... I> struct integer_sequence {
  using value_type = T;
  static constexpr size_t size() noexcept { return sizeof...(I); }
};
template <size_t... I> using index_sequence = integer_sequence<size_t, I...>;
template <typename T, T N> using make_integer_sequence = __make_integer_seq<integer_sequence, T, N>;
template <size_t N> using make_index_sequence = make_integer_sequence<size_t, N>;

} // namespace metal
