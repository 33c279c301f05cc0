// The vocabulary that the argument checks share. Conditions may be symbolic (see attention_args.h), so sizes stay
// SymInt.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/SymBool.h>
#include <c10/core/SymInt.h>
#include <c10/util/Exception.h>

#include <string_view>

/// Refuses a call with one sentence: which operator, which argument, what it was, what it must be. `condition` is a
/// bool.
#define FUSED_ATTN_CHECK(condition, op, ...) TORCH_CHECK(condition, "fused_attn.", op, ": ", __VA_ARGS__)
/// The same for a condition on sizes that torch.compile may have left open (a SymBool).
#define FUSED_ATTN_CHECK_SYM(condition, op, ...) TORCH_SYM_CHECK(condition, "fused_attn.", op, ": ", __VA_ARGS__)

namespace fused_attn {

using at::Tensor;
using c10::SymInt;

/// True for a tensor whose contents this process may read: in host memory, and not a stand-in of torch.compile.
inline bool is_readable(const Tensor& tensor) {
  return tensor.device().is_cpu() && !tensor.key_set().has(c10::DispatchKey::Python);
}

/// Refuses a tensor that is not [dims...] in strided memory. `shape` describes what it must be, for the message.
void check_rank(std::string_view op, const char* name, const Tensor& tensor, int64_t rank, const char* shape);

/// Refuses a tensor that is not fp32, fp16 or bf16.
void check_floating(std::string_view op, const char* name, const Tensor& tensor);

/// Refuses a tensor whose last dimension is not contiguous.
void check_unit_stride(std::string_view op, const char* name, const Tensor& tensor);

/// Refuses a tensor whose dtype is not that of `like`.
void check_same_dtype(std::string_view op, const char* name, const Tensor& tensor, const char* like_name,
                      const Tensor& like);

/// Refuses a tensor that is not on the device of `like`.
void check_same_device(std::string_view op, const char* name, const Tensor& tensor, const char* like_name,
                       const Tensor& like);

/// Refuses an index tensor that is not `dtype`, `rank`-dimensional, contiguous and on the device of `like`.
void check_index(std::string_view op, const char* name, const Tensor& tensor, at::ScalarType dtype, int64_t rank,
                 const char* shape, const char* like_name, const Tensor& like);

} // namespace fused_attn
