// The Python module torch_fused_attn._C. Importing it registers the operators (library.cpp and the backends); its
// functions are the shape checks, which the fake kernels in torch_fused_attn/fakes.py call with symbolic sizes, and
// kernel_plan. It also gives Python the error of a kernel that Metal refuses.
#include "attention_args.h"
#include "cache_args.h"
#include "kernel_error.h"
#include "python_plan.h"

#include <torch/csrc/utils/pybind.h>

#include <exception>

namespace {

using namespace fused_attn;
using OptionalTensor = std::optional<Tensor>;

void py_check_forward(const Tensor& query, const Tensor& key, const Tensor& value, const OptionalTensor& attn_mask,
                      bool is_causal, std::optional<double> scale, const OptionalTensor& alibi_slopes,
                      const SymInt& window_left, const SymInt& window_right, double softcap,
                      const OptionalTensor& sinks, const std::string& causal_alignment) {
  check_forward(query, key, value, attn_mask,
                {is_causal, scale, alibi_slopes, window_left, window_right, softcap, sinks}, causal_alignment);
}

void py_check_varlen(const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& cu_seqlens_q,
                     const Tensor& cu_seqlens_k, const SymInt& max_seqlen_q, const SymInt& max_seqlen_k, bool is_causal,
                     std::optional<double> scale, const OptionalTensor& alibi_slopes, const SymInt& window_left,
                     const SymInt& window_right, double softcap, const OptionalTensor& sinks) {
  check_varlen(query, key, value, cu_seqlens_q, cu_seqlens_k, max_seqlen_q, max_seqlen_k,
               {is_causal, scale, alibi_slopes, window_left, window_right, softcap, sinks});
}

void py_check_paged(const Tensor& query, const Tensor& key_cache, const Tensor& value_cache, const Tensor& block_table,
                    const Tensor& seqused_k, const Tensor& cu_seqlens_q, const SymInt& max_seqlen_q, bool is_causal,
                    std::optional<double> scale, const OptionalTensor& alibi_slopes, const SymInt& window_left,
                    const SymInt& window_right, double softcap, const OptionalTensor& sinks) {
  check_paged(query, key_cache, value_cache, block_table, seqused_k, cu_seqlens_q, max_seqlen_q,
              {is_causal, scale, alibi_slopes, window_left, window_right, softcap, sinks});
}

/// Turns KernelError into torch_fused_attn.KernelError, for all of torch's functions: an operator is called by one of
/// torch's own, whose translators know c10::Error alone. Extensions and torch share pybind11's list of translators.
void translate_kernel_error(std::exception_ptr raised) {
  try {
    std::rethrow_exception(std::move(raised));
  } catch (const KernelError& error) {
    const auto type = pybind11::module_::import("torch_fused_attn.kernel_error").attr("KernelError");
    const pybind11::object value =
        type(error.what_without_backtrace(), error.kernel(), error.reason(), error.details());
    PyErr_SetObject(type.ptr(), value.ptr());
  }
}

} // namespace

PYBIND11_MODULE(_C, m) {
  m.doc() = "Operators torch.ops.fused_attn.*, their argument checks, and the plans of their kernels";
  m.def("check_forward", &py_check_forward);
  m.def("is_token_major", &is_token_major);
  m.def("check_varlen_forward", &py_check_varlen);
  m.def("check_paged_forward", &py_check_paged);
  m.def("check_reshape_and_cache_", &check_reshape_and_cache);
  m.def("check_copy_blocks_", &check_copy_blocks);
  m.def("check_merge_states", &check_merge_states);
  define_kernel_plan(m);
  pybind11::register_exception_translator(&translate_kernel_error);
}
