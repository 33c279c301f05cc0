#include "kernel_plan.h"

#include <algorithm>

namespace fused_attn {
namespace {

constexpr int64_t kAnyFamily = 1 << 20;
constexpr int64_t kLanes = 32;     ///< of a simdgroup
constexpr int64_t kSchedulers = 4; ///< of a core
constexpr int64_t kFragment = 8;   ///< rows and columns of a simdgroup matrix
constexpr int64_t kCopyThreads =
    128; ///< of a threadgroup that moves keys and values: few heads already have as many units
constexpr int64_t kMaxVectorRows = 4;
constexpr int64_t kPaddingBytes = 16; ///< of a row in threadgroup memory, against bank conflicts
constexpr int64_t kLoadBytes = 16;    ///< of a lane, where rows are loaded whole
/// Of a lane, of 32 bits, for matrices. It has 128 for everything.
constexpr int64_t kMaxRegisters = 104;

constexpr int64_t ceil_div(int64_t value, int64_t divisor) {
  return (value + divisor - 1) / divisor;
}

constexpr int64_t round_up(int64_t value, int64_t multiple) {
  return ceil_div(value, multiple) * multiple;
}

constexpr int64_t element_bytes(Element element) {
  return element == Element::kFloat ? 4 : 2;
}

const char* metal_type(Element element) {
  switch (element) {
  case Element::kHalf:
    return "half";
  case Element::kBfloat:
    return "bfloat";
  case Element::kFloat:
    break;
  }
  return "float";
}

/// A choice for the prefill kernel.
struct PrefillTile {
  int64_t first_family, last_family;
  Element element;
  int64_t max_head_dim;  ///< for head_dim and head_dim_v up to this
  bool staged;           ///< K and V through threadgroup memory
  Element stage_element; ///< as what they lie there
  int64_t simdgroups, row_tiles, key_tile;

  constexpr bool fits(const Gpu& gpu, Element type, int64_t head_dim) const {
    return gpu.family >= first_family && gpu.family <= last_family && type == element && head_dim <= max_head_dim;
  }
  constexpr int64_t bytes(int64_t head_dim, int64_t head_dim_v) const {
    const int64_t item = element_bytes(stage_element);
    return staged ? key_tile * ((head_dim + head_dim_v) * item + 2 * kPaddingBytes) : 0;
  }
};

constexpr Element kHalf = Element::kHalf;
constexpr Element kBfloat = Element::kBfloat;
constexpr Element kFloat = Element::kFloat;

/// The first row that fits is taken. M1 and M2 (families 7 and 8) stage K and V together, and widen bfloat, which they
/// have no arithmetic for, once while staging; later GPUs cache device memory well enough to need neither, but for wide
/// floats, whose fragments would be loaded once for each simdgroup. By counts and the cost model of metalsim, never run
/// on a Mac.
constexpr PrefillTile kPrefillTiles[] = {
    // clang-format off
    // families      element  D up to  staged   as       simdgroups  row tiles  keys
    {0, 8,          kHalf,   64,      true,    kHalf,   4,          2,         32},
    {0, 8,          kHalf,   128,     true,    kHalf,   8,          1,         32},
    {0, 8,          kHalf,   256,     true,    kHalf,   8,          1,         16},
    {0, 8,          kBfloat, 96,      true,    kFloat,  4,          2,         32},
    {0, 8,          kBfloat, 128,     true,    kFloat,  4,          2,         16},
    {0, 8,          kBfloat, 192,     true,    kFloat,  8,          1,         16},
    {0, 8,          kBfloat, 256,     true,    kFloat,  8,          1,         8},
    {0, 8,          kFloat,  64,      true,    kFloat,  4,          2,         32},
    {0, 8,          kFloat,  96,      true,    kFloat,  4,          2,         16},
    {0, 8,          kFloat,  192,     true,    kFloat,  8,          1,         16},
    {0, 8,          kFloat,  256,     true,    kFloat,  8,          1,         8},
    {9, kAnyFamily, kHalf,   96,      false,   kHalf,   2,          2,         32},
    {9, kAnyFamily, kHalf,   256,     false,   kHalf,   2,          1,         32},
    {9, kAnyFamily, kBfloat, 96,      false,   kBfloat, 2,          2,         32},
    {9, kAnyFamily, kBfloat, 256,     false,   kBfloat, 2,          1,         32},
    {9, kAnyFamily, kFloat,  64,      false,   kFloat,  2,          2,         32},
    {9, kAnyFamily, kFloat,  96,      false,   kFloat,  2,          2,         16},
    {9, kAnyFamily, kFloat,  128,     false,   kFloat,  2,          2,         32},
    {9, kAnyFamily, kFloat,  192,     true,    kFloat,  8,          1,         16},
    {9, kAnyFamily, kFloat,  256,     true,    kFloat,  8,          1,         8},
    // clang-format on
};

constexpr bool prefill_tiles_fit() {
  for (const PrefillTile& tile : kPrefillTiles) {
    if (tile.bytes(tile.max_head_dim, tile.max_head_dim) > kMaxThreadgroupBytes) {
      return false;
    }
  }
  return true;
}
static_assert(prefill_tiles_fit(), "a prefill tile takes more threadgroup memory than a pipeline may have");

/// A choice for the decode kernel. Up to 4 rows are vectors; more are 8-row matrix tiles.
struct DecodeTile {
  int64_t max_rows;     ///< for up to so many rows that share a kv head's keys
  int64_t max_bytes;    ///< of an element
  int64_t max_head_dim; ///< for head_dim and head_dim_v up to this
  int64_t rows;         ///< of the kernel; 0 = as many as there are
  int64_t simdgroups;
  int64_t row_tiles; ///< of a simdgroup; further rows are other simdgroups' work, and keys are staged for them
  int64_t key_tile;  ///< keys of a simdgroup's step

  constexpr bool is_vector() const { return max_rows <= kMaxVectorRows; }
  constexpr int64_t kernel_rows(int64_t wanted) const { return rows == 0 ? wanted : rows; }
  /// Simdgroups with different rows, and with different keys.
  constexpr int64_t row_groups() const { return is_vector() ? 1 : rows / (row_tiles * kFragment); }
  constexpr int64_t key_groups() const { return simdgroups / row_groups(); }
  constexpr bool is_staged() const { return row_groups() > 1; }
  /// Keys of a step of those that need the same ones.
  constexpr int64_t step_keys() const { return is_staged() ? key_tile * key_groups() : key_tile; }
  /// Registers of 32 bits of a lane that matrices take: queries, output and scores of its row tiles, and the part of
  /// the next step's keys and values that is on its way to threadgroup memory.
  constexpr int64_t registers(int64_t element_size, int64_t head_dim) const {
    const int64_t row_tile = head_dim / kFragment * element_size / 2 + head_dim / 4 + key_tile / 4;
    const int64_t loads = ceil_div(step_keys() * head_dim * element_size, kLoadBytes * simdgroups * kLanes);
    return row_tiles * row_tile + (is_staged() ? 2 * loads * (kLoadBytes / 4) : 0);
  }
  /// Threadgroup memory: the keys' and values' tiles, in whose place results meet at the end.
  constexpr int64_t bytes(int64_t wanted_rows, int64_t element_size, int64_t head_dim, int64_t head_dim_v) const {
    const int64_t tiles = is_staged() ? step_keys() * ((head_dim + head_dim_v) * element_size + 2 * kPaddingBytes) : 0;
    const int64_t meeting_rows = is_vector() ? 1 : kFragment;
    const int64_t meeting_columns = is_vector() ? head_dim_v : 4 * kFragment;
    const int64_t meeting = 4 * (2 * key_groups() * kernel_rows(wanted_rows) +
                                 simdgroups * meeting_rows * (meeting_columns + 2 * kPaddingBytes / 4));
    return std::max(tiles, meeting) / 16 * 16 + 16;
  }
};

/// The first row that fits is taken. By counts, the choices that fit a GPU's registers differ by 3 % at most in what
/// they do, and the DRAM takes longer than any of them up to 24 rows. So what decides is that matrices stay in
/// registers (kMaxRegisters), then that no threadgroup memory is needed (row tiles side by side in one simdgroup), then
/// large steps, whose loads are under way together. No choice keeps 32-bit elements beyond a head dim of 128, or 16-bit
/// ones beyond 192, in registers for more than 8 rows. By the cost model of metalsim, never run on a Mac.
constexpr DecodeTile kDecodeTiles[] = {
    // clang-format off
    // rows up to  bytes  D up to  as   simdgroups  row tiles  keys
    {4,            4,     256,     0,   4,          1,         32},
    {8,            2,     192,     8,   4,          1,         32},
    {8,            4,     128,     8,   4,          1,         32},
    {8,            4,     256,     8,   4,          1,         16},
    {16,           2,     128,     16,  4,          2,         16},
    {16,           4,     96,      16,  4,          2,         16},
    {16,           4,     256,     16,  2,          1,         8},
    {24,           2,     128,     24,  3,          1,         16},
    {24,           4,     64,      24,  3,          1,         16},
    {24,           4,     256,     24,  3,          1,         8},
    {32,           2,     192,     32,  4,          1,         16},
    {32,           4,     64,      32,  4,          1,         16},
    {32,           4,     256,     32,  4,          1,         8},
    // clang-format on
};

constexpr bool decode_tiles_fit() {
  for (const DecodeTile& tile : kDecodeTiles) {
    if (tile.bytes(tile.max_rows, tile.max_bytes, tile.max_head_dim, tile.max_head_dim) > kMaxThreadgroupBytes) {
      return false;
    }
  }
  return true;
}
static_assert(decode_tiles_fit(), "a decode tile takes more threadgroup memory than a pipeline may have");

constexpr bool decode_matrices_fit_registers() {
  for (const DecodeTile& tile : kDecodeTiles) {
    for (const int64_t item : {2, 4}) {
      const int64_t head_dim = std::min<int64_t>(tile.max_head_dim, item == 4 ? 128 : 192);
      if (!tile.is_vector() && item <= tile.max_bytes && tile.registers(item, head_dim) > kMaxRegisters) {
        return false;
      }
    }
  }
  return true;
}
static_assert(decode_matrices_fit_registers(), "a decode tile takes more registers than a lane has");

/// How often a sequence's keys are split: so that each scheduler has this many simdgroups. One keeps its arithmetic
/// busy. Four have the DRAM's latency covered as well: 400 GB/s times 342 ns (M2 Pro) are 4.3 KB under way for each of
/// the M1 Max's 32 cores, which 16 simdgroups have with one 16-byte load a lane. More only cost more merging, 0.2 to
/// 0.6 us from 4 to 8 at 16384 keys. Modelled, never run.
constexpr int64_t kSimdgroupsPerScheduler = 4;
/// So few keys are not worth a part of their own.
constexpr int64_t kMinKeysPerSplit = 256;

template <typename Tile, size_t count, typename Fits> const Tile& first_fit(const Tile (&tiles)[count], Fits fits) {
  // The last rows of the tables fit everything that the operators take.
  return *std::find_if(std::begin(tiles), std::end(tiles) - 1, fits);
}

std::string number(int64_t value) {
  return std::to_string(value);
}

/// The macros that every attention library has.
std::vector<Macro> common_macros(const AttentionProblem& problem) {
  return {
      {"FUSED_ATTN_ELEMENT", metal_type(problem.element)},
      {"FUSED_ATTN_HEAD_DIM", number(problem.head_dim)},
      {"FUSED_ATTN_HEAD_DIM_V", number(problem.head_dim_v)},
      {"FUSED_ATTN_KV_SOURCE", number(static_cast<int>(problem.source))},
  };
}

std::vector<Constant> score_constants(const AttentionProblem& problem) {
  return {
      {kMaskKindConstant, false, problem.mask},
      {kLimitsKeysConstant, true, problem.limits_keys},
      {kHasAlibiConstant, true, problem.has_alibi},
      {kHasSoftcapConstant, true, problem.has_softcap},
      {kHasSinksConstant, true, problem.has_sinks},
      {kBlockSizeConstant, false, static_cast<uint32_t>(problem.block_size)},
  };
}

/// Keys that the queries of a sequence can see between them.
int64_t visible_keys(const AttentionProblem& problem, int64_t key_tile) {
  if (problem.window_left >= problem.len_k) {
    return problem.len_k;
  }
  // Parts begin at a multiple of the key tile.
  return std::min(problem.len_k, problem.window_left + problem.len_q + key_tile);
}

/// Parts of a sequence's keys, such that all cores have work while no part is too short to be worth its merging. The
/// kernel shares out the keys that a sequence has, which may be fewer than len_k, among as many parts.
void split_keys(AttentionPlan& plan, const AttentionProblem& problem, const Gpu& gpu, int64_t simdgroups) {
  plan.keys_per_split = round_up(kMinKeysPerSplit, plan.key_tile);
  const int64_t wanted = gpu.cores * kSchedulers * kSimdgroupsPerScheduler;
  const int64_t unsplit = problem.batch * problem.num_kv_heads * simdgroups;
  const int64_t most = std::max<int64_t>(1, visible_keys(problem, plan.key_tile) / plan.keys_per_split);
  plan.num_splits = std::clamp<int64_t>(wanted / unsplit, 1, most);
}

/// The macros of reduce.metal's libraries.
std::vector<Macro> merge_macros(Element element, int64_t head_dim_v) {
  return {{"FUSED_ATTN_ELEMENT", metal_type(element)}, {"FUSED_ATTN_HEAD_DIM_V", number(head_dim_v)}};
}

Launch plan_merge(const AttentionProblem& problem) {
  const bool is_dense = problem.source == KvSource::kDense;
  Launch merge;
  merge.kernel = {"reduce.metal",
                  "merge_splits",
                  merge_macros(problem.element, problem.head_dim_v),
                  {{kHasSinksConstant, true, problem.has_sinks}}};
  merge.threadgroups = {is_dense ? problem.len_q : problem.total_q, problem.num_heads, is_dense ? problem.batch : 1};
  merge.threads = kMergeThreads;
  merge.threadgroup_bytes = kMergeThreads / kLanes * round_up(problem.head_dim_v, 4) * 4;
  return merge;
}

/// What a score takes beside its products, in multiply-adds: scale, maximum and exponential, and also softcap, ALiBi
/// and an additive mask together, which few calls have.
constexpr int64_t kScoreWork = 64;
/// What looking at a mask's entry takes, in the same unit. The arithmetic is about 24; an fp32 entry out of the DRAM of
/// the M1, at 68.3 GB/s for 8 cores of 1.278 GHz, takes as long as 77, of which kUsefulShare makes less useful.
constexpr int64_t kEntryWork = 64;

/// Tiles at the two edges of what a threadgroup of prefill sees, and what it does before and after, as keys.
constexpr int64_t kOtherKeys = 64;

/// Gives a launch its work, and tells its kernel if it has to be cut. `rows` and `work_per_key` are of a simdgroup.
void set_work(Launch& launch, Work work, const Gpu& gpu, int64_t rows, int64_t work_per_key) {
  work.simdgroups = launch.threads / kLanes;
  work.seconds_per_key = static_cast<double>(ceil_div(rows * work_per_key, kLanes)) / useful_cycles(gpu.family);
  work.schedulers = std::max<int64_t>(gpu.cores, 1) * kSchedulers;
  launch.work = work;
  const bool is_cut = launch.parts().next()->threadgroups != launch.threadgroups;
  launch.kernel.constants.push_back({kIsPartConstant, true, is_cut});
}

/// The work of prefill. Of packed and paged calls only bounds are known.
Work prefill_work(const AttentionPlan& plan, const AttentionProblem& problem) {
  Work work{};
  work.axes = {0, 1, 2};
  work.rows = plan.query_tile;
  work.other_keys = kOtherKeys;
  if (problem.source == KvSource::kDense) {
    work.keys = problem.len_k;
    work.position_offset = problem.is_top_left ? 0 : problem.len_k - problem.len_q;
    work.window_left = problem.window_left;
    work.window_right = problem.window_right;
  } else {
    work.keys = std::min(problem.len_k, problem.window_left + problem.window_right + plan.query_tile);
    work.window_left = work.window_right = problem.len_k + problem.len_q;
    work.total_rows = problem.total_q;
  }
  return work;
}

void plan_mask_tiles(AttentionPlan& plan, const AttentionProblem& problem, const Gpu& gpu, double max_seconds) {
  const int64_t query_tiles = ceil_div(problem.len_q, plan.query_tile);
  const int64_t key_tiles = ceil_div(problem.len_k, plan.key_tile);
  plan.label_sizes = {problem.mask_batch, problem.mask_heads, query_tiles, key_tiles};
  Launch labels;
  labels.kernel = {"mask_tiles.metal",
                   "label_mask_tiles",
                   {{"FUSED_ATTN_QUERY_TILE", number(plan.query_tile)}, {"FUSED_ATTN_KEY_TILE", number(plan.key_tile)}},
                   {{kMaskKindConstant, false, problem.mask}}};
  labels.threadgroups = {key_tiles, query_tiles, problem.mask_batch * problem.mask_heads};
  labels.threads = kLabelThreads;
  labels.threadgroup_bytes = kLabelThreads / kLanes * 4;
  Work work{};
  work.max_seconds = max_seconds;
  work.axes = {1, 2, 0};
  work.keys = plan.key_tile;
  work.window_left = work.window_right = problem.len_q + plan.query_tile + plan.key_tile;
  work.rows = plan.query_tile;
  set_work(labels, work, gpu, ceil_div(plan.query_tile, kLabelThreads / kLanes), kEntryWork);
  plan.mask_tiles = std::move(labels);
}

AttentionPlan plan_prefill(const AttentionProblem& problem, const Gpu& gpu, double max_seconds) {
  const int64_t head_dim = std::max(problem.head_dim, problem.head_dim_v);
  const PrefillTile& tile =
      first_fit(kPrefillTiles, [&](const PrefillTile& choice) { return choice.fits(gpu, problem.element, head_dim); });
  AttentionPlan plan{};
  plan.query_tile = tile.simdgroups * tile.row_tiles * kFragment;
  plan.key_tile = tile.key_tile;
  plan.num_splits = 1;
  plan.keys_per_split = round_up(problem.len_k, tile.key_tile);

  Launch& prefill = plan.attention;
  prefill.kernel = {"prefill.metal", "prefill", common_macros(problem), score_constants(problem)};
  for (Macro& macro : std::vector<Macro>{{"FUSED_ATTN_SIMDGROUPS", number(tile.simdgroups)},
                                         {"FUSED_ATTN_ROW_TILES", number(tile.row_tiles)},
                                         {"FUSED_ATTN_KEY_TILE", number(tile.key_tile)},
                                         {"FUSED_ATTN_STAGED", tile.staged ? "1" : "0"},
                                         {"FUSED_ATTN_STAGE_ELEMENT", metal_type(tile.stage_element)}}) {
    prefill.kernel.macros.push_back(std::move(macro));
  }
  prefill.threadgroups = {ceil_div(problem.len_q, plan.query_tile), problem.num_heads, problem.batch};
  prefill.threads = tile.simdgroups * kLanes;
  prefill.threadgroup_bytes = tile.bytes(problem.head_dim, problem.head_dim_v);
  Work work = prefill_work(plan, problem);
  work.max_seconds = max_seconds;
  set_work(prefill, work, gpu, tile.row_tiles * kFragment, problem.head_dim + problem.head_dim_v + kScoreWork);
  if (problem.mask != kNoMask) {
    plan_mask_tiles(plan, problem, gpu, max_seconds);
  }
  return plan;
}

AttentionPlan plan_decode(const AttentionProblem& problem, const Gpu& gpu, int64_t rows) {
  const int64_t head_dim = std::max(problem.head_dim, problem.head_dim_v);
  const int64_t item = element_bytes(problem.element);
  const DecodeTile& tile = first_fit(kDecodeTiles, [&](const DecodeTile& choice) {
    return rows <= choice.max_rows && item <= choice.max_bytes && head_dim <= choice.max_head_dim;
  });
  AttentionPlan plan{};
  plan.is_decode = true;
  plan.query_tile = tile.kernel_rows(rows);
  plan.key_tile = tile.step_keys();
  split_keys(plan, problem, gpu, tile.simdgroups);

  Launch& decode = plan.attention;
  decode.kernel = {"decode.metal", "decode", common_macros(problem), score_constants(problem)};
  for (Macro& macro : std::vector<Macro>{{"FUSED_ATTN_ROWS", number(plan.query_tile)},
                                         {"FUSED_ATTN_SIMDGROUPS", number(tile.simdgroups)},
                                         {"FUSED_ATTN_ROW_TILES", number(tile.row_tiles)},
                                         {"FUSED_ATTN_KEY_TILE", number(tile.key_tile)}}) {
    decode.kernel.macros.push_back(std::move(macro));
  }
  decode.kernel.constants.push_back({kIsSplitConstant, true, plan.num_splits > 1});
  decode.kernel.constants.push_back({kAlignedRowsConstant, true, problem.has_aligned_rows});
  decode.threadgroups = {plan.num_splits, problem.num_kv_heads, problem.batch};
  decode.threads = tile.simdgroups * kLanes;
  decode.threadgroup_bytes = tile.bytes(rows, item, problem.head_dim, problem.head_dim_v);
  if (plan.num_splits > 1) {
    plan.merge = plan_merge(problem);
  }
  return plan;
}

} // namespace

std::string library_file_name(const Kernel& kernel) {
  // The macros of a file always come in the same order, so that their values tell libraries apart.
  const std::string file = kernel.file;
  std::string name = file.substr(0, file.rfind('.'));
  for (const Macro& macro : kernel.macros) {
    name.append("-").append(macro.value);
  }
  return name;
}

AttentionPlan plan_attention(const AttentionProblem& problem, const Gpu& gpu, double max_seconds) {
  const int64_t rows = problem.num_heads / problem.num_kv_heads * problem.len_q;
  const bool is_decode = rows <= kMaxDecodeRows && problem.len_q <= kMaxDecodeTokens;
  return is_decode ? plan_decode(problem, gpu, rows) : plan_prefill(problem, gpu, max_seconds);
}

Launch plan_merge_states(Element element, int64_t head_dim, int64_t len_q, int64_t num_heads, int64_t batch) {
  constexpr int64_t kColumns = 4; ///< of a thread
  constexpr int64_t kThreads = 128;
  Launch merge;
  merge.kernel = {"reduce.metal", "merge_states", merge_macros(element, head_dim), {}};
  merge.threadgroups = {ceil_div(len_q * ceil_div(head_dim, kColumns), kThreads), num_heads, batch};
  merge.threads = kThreads;
  return merge;
}

Launch plan_reshape_and_cache(int64_t tokens) {
  Launch launch;
  launch.kernel = {"kv_cache.metal", "reshape_and_cache", {}, {}};
  launch.threadgroups = {tokens, 1, 1};
  launch.threads = kCopyThreads;
  return launch;
}

Launch plan_copy_blocks(int64_t pairs, int64_t units) {
  Launch launch;
  launch.kernel = {"kv_cache.metal", "copy_blocks", {}, {}};
  launch.threads = kCopyThreads;
  // A few units for each thread; blocks are large and pairs few.
  launch.threadgroups = {pairs, std::clamp<int64_t>(units / (4 * launch.threads), 1, 64), 1};
  return launch;
}

} // namespace fused_attn
