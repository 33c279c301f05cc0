#include "check.h"

namespace fused_attn {

void check_rank(std::string_view op, const char* name, const Tensor& tensor, int64_t rank, const char* shape) {
  FUSED_ATTN_CHECK(tensor.layout() == at::kStrided, op, name, " must be a dense (strided) tensor ", shape,
                   ", but its layout is ", tensor.layout(), "; call .to_dense() first");
  FUSED_ATTN_CHECK(tensor.dim() == rank, op, name, " must have ", rank, " dimensions, ", shape, ", but its shape is ",
                   tensor.sym_sizes(), "; add or merge dimensions with unsqueeze(), view() or flatten()");
}

void check_floating(std::string_view op, const char* name, const Tensor& tensor) {
  const auto dtype = tensor.scalar_type();
  FUSED_ATTN_CHECK(dtype == at::kFloat || dtype == at::kHalf || dtype == at::kBFloat16, op, name,
                   " must be float32, float16 or bfloat16, but is ", dtype, "; convert it with .to(torch.float32)");
}

void check_unit_stride(std::string_view op, const char* name, const Tensor& tensor) {
  const int64_t last = tensor.dim() - 1;
  // A dimension of size 1 has no stride that matters.
  const bool unit = tensor.sym_stride(last) == 1 || tensor.sym_size(last) == 1;
  FUSED_ATTN_CHECK(unit, op, name, " must have stride 1 in its last dimension, but its strides are ",
                   tensor.sym_strides(), "; call .contiguous() first");
}

void check_same_dtype(std::string_view op, const char* name, const Tensor& tensor, const char* like_name,
                      const Tensor& like) {
  FUSED_ATTN_CHECK(tensor.scalar_type() == like.scalar_type(), op, name, " must have the dtype of ", like_name, ", ",
                   like.scalar_type(), ", but is ", tensor.scalar_type(), "; convert one of them with .to()");
}

void check_same_device(std::string_view op, const char* name, const Tensor& tensor, const char* like_name,
                       const Tensor& like) {
  FUSED_ATTN_CHECK(tensor.device() == like.device(), op, name, " must be on the device of ", like_name, ", ",
                   like.device(), ", but is on ", tensor.device(), "; move it with .to(\"", like.device(), "\")");
}

void check_index(std::string_view op, const char* name, const Tensor& tensor, at::ScalarType dtype, int64_t rank,
                 const char* shape, const char* like_name, const Tensor& like) {
  check_rank(op, name, tensor, rank, shape);
  FUSED_ATTN_CHECK(tensor.scalar_type() == dtype, op, name, " must be ", dtype, ", but is ", tensor.scalar_type(),
                   "; convert it with .to(torch.", dtype == at::kInt ? "int32" : "int64", ")");
  check_same_device(op, name, tensor, like_name, like);
  FUSED_ATTN_CHECK(tensor.is_contiguous(), op, name, " must be contiguous, but its strides are ", tensor.sym_strides(),
                   "; call .contiguous() first");
}

} // namespace fused_attn
