// The operators' schemas, declared once. Backends register their kernels from their own folders.
//
// Every forward shares the keyword arguments that FUSED_ATTN_COMMON spells out; docs/operators.md says what each means.
#include <torch/library.h>

#define FUSED_ATTN_COMMON                                                                                              \
  "bool is_causal=False, float? scale=None, Tensor? alibi_slopes=None, "                                               \
  "SymInt window_left=-1, SymInt window_right=-1, float softcap=0.0, Tensor? sinks=None"

TORCH_LIBRARY(fused_attn, m) {
  // needs_exact_strides: outputs are laid out as inputs are, so that a compiler must not lay the inputs out anew.
  const std::vector<at::Tag> tags = {at::Tag::pt2_compliant_tag, at::Tag::needs_exact_strides};

  m.def("forward(Tensor query, Tensor key, Tensor value, *, Tensor? attn_mask=None, " FUSED_ATTN_COMMON
        ", str causal_alignment=\"bottom_right\") -> (Tensor out, Tensor lse)",
        tags);
  m.def("varlen_forward(Tensor query, Tensor key, Tensor value, Tensor cu_seqlens_q, Tensor cu_seqlens_k, "
        "SymInt max_seqlen_q, SymInt max_seqlen_k, *, " FUSED_ATTN_COMMON ") -> (Tensor out, Tensor lse)",
        tags);
  m.def("paged_forward(Tensor query, Tensor key_cache, Tensor value_cache, Tensor block_table, Tensor seqused_k, "
        "Tensor cu_seqlens_q, SymInt max_seqlen_q, *, " FUSED_ATTN_COMMON ") -> (Tensor out, Tensor lse)",
        tags);
  m.def("reshape_and_cache_(Tensor key, Tensor value, Tensor(a!) key_cache, Tensor(b!) value_cache, "
        "Tensor slot_mapping) -> ()",
        tags);
  m.def("copy_blocks_(Tensor(a!) key_cache, Tensor(b!) value_cache, Tensor block_mapping) -> ()", tags);
  m.def("merge_states(Tensor out_a, Tensor lse_a, Tensor out_b, Tensor lse_b) -> (Tensor out, Tensor lse)", tags);
}
