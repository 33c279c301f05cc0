#include "rows.h"

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/Functions.h>
#include <ATen/Parallel.h>

#include <atomic>
#include <limits>

namespace fused_attn::cpu {
namespace {

/// Queries in a tile that leaves out keys its queries do not see: few enough to leave out most of them, and as many as
/// ATen's fused attention takes at once.
constexpr int64_t kTileRows = 64;
/// Queries in a tile that all see the same keys: enough to pay for reading those keys once more for each tile.
constexpr int64_t kWholeRows = 256;
/// Largest bias that is written out for a tile, in bytes; it bounds the extra memory of masks.
constexpr int64_t kBiasBytes = 16 << 20;

bool is_bias_dtype(const Tensor& mask, const Tensor& query) {
  return mask.scalar_type() == at::kFloat || mask.scalar_type() == query.scalar_type();
}

/// A mask (or a part of one) as something to add to scores.
Tensor as_bias(const Tensor& mask, const Tensor& query) {
  if (mask.scalar_type() == at::kBool) {
    const float hidden = -std::numeric_limits<float>::infinity();
    return at::zeros(mask.sizes(), query.options().dtype(at::kFloat)).masked_fill_(mask.logical_not(), hidden);
  }
  return is_bias_dtype(mask, query) ? mask : mask.to(at::kFloat);
}

/// The part of a broadcastable tensor that a range of one dimension needs.
Tensor narrow_broadcast(const Tensor& t, int64_t dim, Range range) {
  return t.size(dim) == 1 ? t : t.narrow(dim, range.begin, range.size());
}

/// The bias of a tile from positions and mask. `reversed` says that its rows, and so the queries', are in reverse
/// order.
struct TileBias {
  Tensor bias; ///< undefined: none
  bool reversed = false;
};

TileBias make_tile_bias(const Sequences& sequences, const Positions& positions, const PositionBias& position_bias,
                        Range queries, Range keys) {
  TileBias result;
  if (position_bias.applies(positions, queries, keys)) {
    result.bias = position_bias.reversed_view(positions, queries, keys);
    result.reversed = queries.size() > 1;
  }
  if (sequences.mask.defined()) {
    Tensor mask = narrow_broadcast(narrow_broadcast(sequences.mask, 2, queries), 3, keys);
    mask = as_bias(result.reversed && mask.size(2) > 1 ? mask.flip(2) : mask, sequences.query);
    result.bias = result.bias.defined() ? at::add(result.bias, mask) : mask;
  }
  return result;
}

/// Some queries of a task.
struct Job {
  const RowTask* task;
  Range queries;
};

/// Queries in a tile, where tiles are shared out among cores, and where the work inside of each is.
int64_t tile_rows(const RowTask& task, const ScoreRules& rules, bool share_tiles) {
  const Sequences& sequences = task.sequences;
  const int64_t len_q = sequences.query.size(2);
  const int64_t num_heads = sequences.query.size(0) * sequences.query.size(1);
  int64_t rows = share_tiles ? kWholeRows : len_q;
  if (rules.limits_keys()) {
    // ATen shares its work out by heads and runs of 32 queries: a tile must hold enough of both for every core.
    const int64_t for_every_core = 32 * ((at::get_num_threads() + num_heads - 1) / num_heads);
    rows = share_tiles ? kTileRows : std::max(kTileRows, for_every_core);
  }
  if (sequences.mask.defined()) {
    const int64_t heads = rules.alibi_slopes.defined() ? num_heads : sequences.mask.size(0) * sequences.mask.size(1);
    const int64_t bytes_per_row = heads * sequences.key.size(2) * static_cast<int64_t>(sizeof(float));
    const int64_t bytes = share_tiles ? kBiasBytes / at::get_num_threads() : kBiasBytes;
    rows = std::min(rows, std::max<int64_t>(8, bytes / bytes_per_row));
  }
  return std::min(rows, len_q);
}

/// The result of queries that see no key.
void fill_unseen(Tensor out, Tensor lse, const Tensor& sinks) {
  out.zero_();
  if (sinks.defined()) {
    lse.copy_(sinks.unsqueeze(-1).expand_as(lse));
  } else {
    lse.fill_(-std::numeric_limits<float>::infinity());
  }
}

/// Cuts a task into tiles; fills in what no key is visible to.
void add_jobs(const RowTask& task, const ScoreRules& rules, const Tensor& sinks, bool share_tiles,
              std::vector<Job>& jobs) {
  if (task.sequences.query.numel() == 0) {
    return;
  }
  const Positions positions(rules, task.sequences.query.size(2), task.sequences.key.size(2));
  const Range seeing = positions.queries_of({0, positions.len_k});
  for (const Range blind : {Range{0, seeing.begin}, Range{seeing.end, positions.len_q}}) {
    if (blind.size() > 0) {
      fill_unseen(task.out.narrow(2, blind.begin, blind.size()), task.lse.narrow(2, blind.begin, blind.size()), sinks);
    }
  }
  if (seeing.size() == 0) {
    return;
  }
  const int64_t rows = tile_rows(task, rules, share_tiles);
  for (int64_t begin = seeing.begin; begin < seeing.end; begin += rows) {
    jobs.push_back({&task, {begin, std::min(begin + rows, seeing.end)}});
  }
}

void attend_job(const Job& job, const ScoreRules& rules, const Tensor& sinks) {
  const Sequences& sequences = job.task->sequences;
  const Range queries = job.queries;
  const Positions positions(rules, sequences.query.size(2), sequences.key.size(2));
  const Range keys = positions.keys_of(queries);
  const TileBias bias = make_tile_bias(sequences, positions, job.task->bias, queries, keys);
  Tile tile;
  tile.query = sequences.query.narrow(2, queries.begin, queries.size());
  if (bias.reversed) {
    tile.query = tile.query.flip(2);
  }
  tile.key = sequences.key.narrow(2, keys.begin, keys.size());
  tile.value = sequences.value.narrow(2, keys.begin, keys.size());
  tile.bias = bias.bias;
  tile.scale = rules.scale;
  tile.softcap = rules.softcap;
  tile.bias_may_hide_rows = sequences.mask.defined();
  State state = attend(tile);
  if (sinks.defined()) {
    add_sinks(state, sinks);
  }
  const Tensor out = job.task->out.narrow(2, queries.begin, queries.size());
  const Tensor lse = job.task->lse.narrow(2, queries.begin, queries.size());
  out.copy_(bias.reversed ? state.out.flip(2) : state.out);
  lse.copy_(bias.reversed ? state.lse.flip(2) : state.lse);
}

} // namespace

std::optional<State> attend_at_once(const Sequences& sequences, const ScoreRules& rules) {
  const int64_t len_q = sequences.query.size(2);
  const int64_t len_k = sequences.key.size(2);
  if (len_q == 0 || len_k == 0 || rules.alibi_slopes.defined()) {
    return std::nullopt;
  }
  Tile tile;
  tile.query = sequences.query;
  tile.key = sequences.key;
  tile.value = sequences.value;
  tile.scale = rules.scale;
  tile.softcap = rules.softcap;
  const Positions positions(rules, len_q, len_k);
  if (!positions.all_visible({0, len_q}, {0, len_k})) {
    // ATen leaves out hidden keys by runs of 512, so that tiles of ours are quicker below about two of them.
    constexpr int64_t kShortest = 1024;
    const bool square_causal = rules.window_left == ScoreRules::kUnlimited && rules.window_right == 0 && len_q == len_k;
    if (!square_causal || len_q < kShortest || !is_fusable(tile)) {
      return std::nullopt;
    }
    tile.is_causal = true;
  }
  if (sequences.mask.defined()) {
    const bool one_row = sequences.mask.size(2) == 1;
    if (!one_row && (tile.is_causal || !is_bias_dtype(sequences.mask, sequences.query))) {
      return std::nullopt;
    }
    tile.bias = as_bias(sequences.mask, sequences.query);
    tile.bias_may_hide_rows = true;
  }
  return attend(tile);
}

void attend_by_rows(const std::vector<RowTask>& tasks, const ScoreRules& rules, const Tensor& sinks) {
  const int64_t cores = at::get_num_threads();
  std::vector<Job> jobs;
  bool share_tiles = cores > 1;
  for (const RowTask& task : tasks) {
    add_jobs(task, rules, sinks, share_tiles, jobs);
  }
  if (share_tiles && static_cast<int64_t>(jobs.size()) < cores) {
    share_tiles = false;
    jobs.clear();
    for (const RowTask& task : tasks) {
      add_jobs(task, rules, sinks, share_tiles, jobs);
    }
  }
  if (!share_tiles) {
    for (const Job& job : jobs) {
      attend_job(job, rules, sinks);
    }
    return;
  }
  std::atomic<size_t> taken{0};
  at::parallel_for(0, cores, 1, [&](int64_t, int64_t) {
    const at::AutoDispatchBelowADInplaceOrView below; // this thread has its own dispatch state
    // From the last: a causal sequence's later tiles see more keys, and the largest should not come at the end.
    for (size_t i = taken++; i < jobs.size(); i = taken++) {
      attend_job(jobs[jobs.size() - 1 - i], rules, sinks);
    }
  });
}

} // namespace fused_attn::cpu
