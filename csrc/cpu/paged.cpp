// The operator paged_forward on the CPU.
//
// Work is shared out by sequence and K/V head. For each, runs of keys are gathered from their blocks into a buffer that
// fits a core's cache, attended to by all query heads of the group at once, and merged into an fp32 running state
// (online softmax over runs). Each key is gathered once. Where there are fewer sequences and heads than cores, short
// queries (decode) split the keys of each into parts that are merged at the end; long ones leave the cores to ATen's
// fused attention.
#include "attention_args.h"
#include "elements.h"
#include "rows.h"

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <torch/library.h>

#include <cmath>
#include <cstring>
#include <limits>

namespace fused_attn::cpu {
namespace {

/// Keys gathered at a time: 512 keys and values of 128 fp32 dimensions are half a MiB.
constexpr int64_t kRunKeys = 512;
/// Longest query whose keys are worth splitting among cores.
constexpr int64_t kSplitQueries = 16;

/// A running state of online softmax: out is already divided by its denominator. fp32 [group, Lq, D] and [group, Lq].
struct Running {
  Tensor out, lse;

  Running(int64_t group, int64_t len_q, int64_t head_dim)
      : out(at::zeros({group, len_q, head_dim}, at::kFloat)),
        lse(at::full({group, len_q}, -std::numeric_limits<float>::infinity(), at::kFloat)) {}

  /// Merges a state of the queries [begin, begin + n), in reverse order if `reversed`.
  void merge(const Tensor& other_out, const Tensor& other_lse, int64_t begin, bool reversed) {
    const Tensor source = other_out.to(at::kFloat); // [group, n, D]
    const Tensor source_lse = other_lse.contiguous();
    const int64_t n = source.size(1);
    const int64_t head_dim = out.size(2);
    for (int64_t g = 0; g < out.size(0); ++g) {
      for (int64_t i = 0; i < n; ++i) {
        float* o = out.mutable_data_ptr<float>() + g * out.stride(0) + (begin + i) * out.stride(1);
        float& l = lse.mutable_data_ptr<float>()[g * lse.stride(0) + begin + i];
        const int64_t row = reversed ? n - 1 - i : i;
        const float* o_new = elements_of<float>(source) + g * source.stride(0) + row * source.stride(1);
        const float l_new = elements_of<float>(source_lse)[g * n + row];
        const float maximum = std::max(l, l_new);
        if (maximum == -std::numeric_limits<float>::infinity()) {
          continue; // nothing seen yet, and -inf - (-inf) would be NaN
        }
        const float weight = std::exp(l - maximum);
        const float weight_new = std::exp(l_new - maximum);
        const float sum = weight + weight_new;
        for (int64_t d = 0; d < head_dim; ++d) {
          o[d] = (o[d] * weight + o_new[d] * weight_new) / sum;
        }
        l = maximum + std::log(sum);
      }
    }
  }
};

/// Reads runs of one K/V head's keys or values out of their blocks.
class BlockReader {
public:
  BlockReader(const Tensor& cache, const int32_t* blocks, int64_t head)
      : base_(static_cast<const char*>(cache.const_data_ptr()) + head * cache.stride(2) * cache.element_size()),
        blocks_(blocks), block_size_(cache.size(1)), block_stride_(cache.stride(0) * cache.element_size()),
        key_stride_(cache.stride(1) * cache.element_size()), row_bytes_(cache.size(3) * cache.element_size()),
        buffer_(at::empty({kRunKeys, cache.size(3)}, cache.options())) {}

  /// [1, 1, keys, D], valid until the next call.
  Tensor read(Range keys) {
    char* target = static_cast<char*>(buffer_.mutable_data_ptr());
    for (int64_t key = keys.begin; key < keys.end; ++key, target += row_bytes_) {
      std::memcpy(target, base_ + blocks_[key / block_size_] * block_stride_ + key % block_size_ * key_stride_,
                  row_bytes_);
    }
    return buffer_.narrow(0, 0, keys.size()).unsqueeze(0).unsqueeze(0);
  }

private:
  const char* base_;
  const int32_t* blocks_;
  int64_t block_size_, block_stride_, key_stride_, row_bytes_;
  Tensor buffer_;
};

/// The queries of one sequence that share a K/V head.
struct Group {
  Tensor query; ///< [1, group, Lq, D]
  const int32_t* blocks;
  int64_t kv_head;
  Positions positions;
  PositionBias bias; ///< of these heads
};

/// Attention of a group over a range of its keys.
Running attend_keys(const PackedArgs& args, const Group& group, Range keys) {
  Running running(group.query.size(1), group.positions.len_q, args.head_dim);
  BlockReader key_reader(args.key, group.blocks, group.kv_head);
  BlockReader value_reader(args.value, group.blocks, group.kv_head);
  for (int64_t begin = keys.begin; begin < keys.end; begin += kRunKeys) {
    const Range run{begin, std::min(begin + kRunKeys, keys.end)};
    const Range queries = group.positions.queries_of(run);
    if (queries.size() == 0) {
      continue;
    }
    const bool biased = group.bias.applies(group.positions, queries, run);
    const bool reversed = biased && queries.size() > 1;
    Tile tile;
    tile.query = group.query.narrow(2, queries.begin, queries.size());
    if (reversed) {
      tile.query = tile.query.flip(2);
    }
    tile.key = key_reader.read(run);
    tile.value = value_reader.read(run);
    if (biased) {
      tile.bias = group.bias.reversed_view(group.positions, queries, run);
    }
    tile.scale = args.rules.scale;
    tile.softcap = args.rules.softcap;
    const State state = attend(tile);
    running.merge(state.out.squeeze(0), state.lse.squeeze(0), queries.begin, reversed);
  }
  return running;
}

/// Parts into which each group's keys are split so that every core has work.
int64_t num_splits(int64_t groups, int64_t max_len_q) {
  const int64_t cores = at::get_num_threads();
  return groups == 0 || groups >= cores || max_len_q > kSplitQueries ? 1 : (cores + groups - 1) / groups;
}

std::tuple<Tensor, Tensor> paged_forward(const Tensor& query, const Tensor& key_cache, const Tensor& value_cache,
                                         const Tensor& block_table, const Tensor& seqused_k, const Tensor& cu_seqlens_q,
                                         SymInt max_seqlen_q, bool is_causal, std::optional<double> scale,
                                         const std::optional<Tensor>& alibi_slopes, SymInt window_left,
                                         SymInt window_right, double softcap, const std::optional<Tensor>& sinks) {
  const PackedArgs args = make_paged(query, key_cache, value_cache, block_table, seqused_k, cu_seqlens_q, max_seqlen_q,
                                     {is_causal, scale, alibi_slopes, window_left, window_right, softcap, sinks});
  Tensor out = at::empty({args.total_q, args.num_heads, args.head_dim}, query.options());
  Tensor lse = at::empty({args.num_heads, args.total_q}, query.options().dtype(at::kFloat));
  const Tensor fp32_sinks = args.rules.sinks.defined() ? args.rules.sinks.to(at::kFloat) : Tensor();
  const int32_t* begin_q = elements_of<int32_t>(args.cu_seqlens_q);
  const int32_t* len_k = elements_of<int32_t>(args.seqused_k);
  int64_t max_len_q = 1;
  int64_t max_len_k = 1;
  for (int64_t b = 0; b < args.batch; ++b) {
    max_len_q = std::max<int64_t>(max_len_q, begin_q[b + 1] - begin_q[b]);
    max_len_k = std::max<int64_t>(max_len_k, len_k[b]);
  }
  const PositionBias bias(args.rules, max_len_q, max_len_k);
  const int64_t heads_in_group = args.num_heads / args.num_kv_heads;
  const int64_t groups = args.batch * args.num_kv_heads;
  const int64_t splits = num_splits(groups, max_len_q);

  const auto make_group = [&](int64_t unit) {
    const int64_t b = unit / args.num_kv_heads;
    const int64_t kv_head = unit % args.num_kv_heads;
    const int64_t len_q = begin_q[b + 1] - begin_q[b];
    const int64_t head = kv_head * heads_in_group;
    return Group{args.query.narrow(0, begin_q[b], len_q).narrow(1, head, heads_in_group).transpose(0, 1).unsqueeze(0),
                 elements_of<int32_t>(args.block_table) + b * args.block_table.size(1), kv_head,
                 Positions(args.rules, len_q, len_k[b]), bias.of_sequence(b).of_heads(head, heads_in_group)};
  };
  // The keys of one part of a group.
  const auto keys_of_split = [&](const Group& group, int64_t split) {
    const Range all = group.positions.keys_of({0, group.positions.len_q});
    const int64_t runs = (all.size() + kRunKeys - 1) / kRunKeys;
    return Range{std::min(all.end, all.begin + split * runs / splits * kRunKeys),
                 std::min(all.end, all.begin + (split + 1) * runs / splits * kRunKeys)};
  };
  const auto finish = [&](int64_t unit, const Running& running) {
    const int64_t b = unit / args.num_kv_heads;
    const int64_t head = unit % args.num_kv_heads * heads_in_group;
    State state{running.out, running.lse};
    if (fp32_sinks.defined()) {
      add_sinks(state, fp32_sinks.narrow(0, head, heads_in_group));
    }
    const int64_t len_q = running.lse.size(1);
    out.narrow(0, begin_q[b], len_q).narrow(1, head, heads_in_group).copy_(state.out.transpose(0, 1));
    lse.narrow(1, begin_q[b], len_q).narrow(0, head, heads_in_group).copy_(state.lse);
  };

  if (splits > 1) {
    std::vector<std::optional<Running>> parts(groups * splits);
    at::parallel_for(0, groups * splits, 1, [&](int64_t begin, int64_t end) {
      const at::AutoDispatchBelowADInplaceOrView below; // this thread has its own dispatch state
      for (int64_t part = begin; part < end; ++part) {
        const Group group = make_group(part / splits);
        parts[part] = attend_keys(args, group, keys_of_split(group, part % splits));
      }
    });
    for (int64_t unit = 0; unit < groups; ++unit) {
      Running running = *parts[unit * splits];
      for (int64_t split = 1; split < splits; ++split) {
        const Running& part = *parts[unit * splits + split];
        running.merge(part.out, part.lse, 0, false);
      }
      finish(unit, running);
    }
    return {out, lse};
  }
  const auto attend_groups = [&](int64_t begin, int64_t end) {
    const at::AutoDispatchBelowADInplaceOrView below;
    for (int64_t unit = begin; unit < end; ++unit) {
      const Group group = make_group(unit);
      if (group.positions.len_q > 0) {
        finish(unit, attend_keys(args, group, keys_of_split(group, 0)));
      }
    }
  };
  // Waking the other cores costs more than the arithmetic of a few short sequences.
  constexpr int64_t kWorthSharing = 1 << 18;
  const int64_t work = args.num_heads * args.total_q * max_len_k * args.head_dim;
  if (groups >= at::get_num_threads() && work >= kWorthSharing) {
    at::parallel_for(0, groups, 1, attend_groups);
  } else {
    attend_groups(0, groups); // ATen's fused attention shares out long queries inside
  }
  return {out, lse};
}

} // namespace

TORCH_LIBRARY_IMPL(fused_attn, CPU, m) {
  m.impl("paged_forward", paged_forward);
}

} // namespace fused_attn::cpu
