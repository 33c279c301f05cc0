#include "python_plan.h"

#include "kernel_plan.h"

#include <stdexcept>

namespace fused_attn {
namespace {

namespace py = pybind11;

template <typename Value> struct Named {
  const char* name;
  Value value;
};

constexpr Named<Element> kElements[] = {
    {"half", Element::kHalf}, {"bfloat", Element::kBfloat}, {"float", Element::kFloat}};
constexpr Named<KvSource> kSources[] = {
    {"dense", KvSource::kDense}, {"packed", KvSource::kPacked}, {"paged", KvSource::kPaged}};
constexpr Named<MaskKind> kMasks[] = {
    {"none", kNoMask}, {"bool", kBoolMask}, {"float", kFloatMask}, {"half", kHalfMask}, {"bfloat", kBfloatMask}};

template <typename Value, size_t count>
Value named(const Named<Value> (&values)[count], const char* what, const std::string& name) {
  std::string known;
  for (const Named<Value>& value : values) {
    if (name == value.name) {
      return value.value;
    }
    known += known.empty() ? value.name : std::string(", ") + value.name;
  }
  throw std::invalid_argument(std::string("kernel_plan: ") + what + " must be one of " + known + ", but is " + name);
}

/// The first parts, as tuples: where a part begins in the grid, its threadgroups, and modelled seconds.
py::list listed(Parts parts, int64_t most) {
  py::list list;
  for (std::optional<Part> part; most > 0 && (part = parts.next()); --most) {
    list.append(
        py::make_tuple(py::tuple(py::cast(part->first)), py::tuple(py::cast(part->threadgroups)), part->seconds));
  }
  return list;
}

py::object described(const std::optional<Launch>& launch, int64_t most_parts = 1) {
  if (!launch) {
    return py::none();
  }
  py::dict macros;
  for (const Macro& macro : launch->kernel.macros) {
    macros[macro.name] = macro.value;
  }
  py::dict constants;
  for (const Constant& constant : launch->kernel.constants) {
    const py::object value = constant.is_bool ? py::object(py::bool_(constant.value != 0)) : py::int_(constant.value);
    constants[py::int_(constant.index)] = value;
  }
  py::dict result;
  result["file"] = launch->kernel.file;
  result["library"] = library_file_name(launch->kernel);
  result["kernel"] = launch->kernel.name;
  result["macros"] = macros;
  result["constants"] = constants;
  result["threadgroups"] = py::cast(launch->threadgroups);
  result["threads"] = launch->threads;
  result["threadgroup_bytes"] = launch->threadgroup_bytes;
  result["parts"] = listed(launch->parts(), most_parts);
  return result;
}

py::dict kernel_plan(int64_t family, int64_t cores, const std::string& element, const std::string& source,
                     int64_t batch, int64_t num_heads, int64_t num_kv_heads, int64_t len_q, int64_t len_k,
                     int64_t head_dim, int64_t head_dim_v, int64_t total_q, int64_t window_left, int64_t block_size,
                     const std::string& mask, int64_t mask_batch, int64_t mask_heads, bool limits_keys, bool has_alibi,
                     bool has_softcap, bool has_sinks, bool has_aligned_rows, int64_t window_right, bool is_top_left,
                     double max_seconds, int64_t most_parts) {
  AttentionProblem problem{};
  problem.element = named(kElements, "element", element);
  problem.source = named(kSources, "source", source);
  problem.batch = batch;
  problem.num_heads = num_heads;
  problem.num_kv_heads = num_kv_heads;
  problem.len_q = len_q;
  problem.len_k = len_k;
  problem.total_q = total_q;
  problem.head_dim = head_dim;
  problem.head_dim_v = head_dim_v;
  problem.window_left = window_left < 0 ? kUnlimitedWindow : window_left;
  problem.window_right = window_right < 0 ? kUnlimitedWindow : window_right;
  problem.is_top_left = is_top_left;
  problem.block_size = block_size;
  problem.mask = named(kMasks, "mask", mask);
  problem.mask_batch = mask_batch;
  problem.mask_heads = mask_heads;
  problem.limits_keys = limits_keys;
  problem.has_alibi = has_alibi;
  problem.has_softcap = has_softcap;
  problem.has_sinks = has_sinks;
  problem.has_aligned_rows = has_aligned_rows;
  const AttentionPlan plan = plan_attention(problem, {family, cores}, max_seconds);

  py::dict result;
  result["mask_tiles"] = described(plan.mask_tiles, most_parts);
  result["attention"] = described(plan.attention, most_parts);
  result["merge"] = described(plan.merge, most_parts);
  result["is_decode"] = plan.is_decode;
  result["query_tile"] = plan.query_tile;
  result["key_tile"] = plan.key_tile;
  result["num_splits"] = plan.num_splits;
  result["keys_per_split"] = plan.keys_per_split;
  result["label_sizes"] = py::cast(plan.label_sizes);
  return result;
}

py::object cache_plan(int64_t tokens) {
  return described(plan_reshape_and_cache(tokens));
}

py::object copy_plan(int64_t pairs, int64_t units) {
  return described(plan_copy_blocks(pairs, units));
}

py::object merge_plan(const std::string& element, int64_t head_dim) {
  return described(plan_merge_states(named(kElements, "element", element), head_dim, 1, 1, 1));
}

} // namespace

void define_kernel_plan(py::module_& module) {
  using namespace py::literals;
  module.def(
      "kernel_plan", &kernel_plan, py::kw_only(), "family"_a, "cores"_a, "element"_a, "source"_a = "dense", "batch"_a,
      "num_heads"_a, "num_kv_heads"_a, "len_q"_a, "len_k"_a, "head_dim"_a, "head_dim_v"_a, "total_q"_a = 0,
      "window_left"_a = -1, "block_size"_a = 1, "mask"_a = "none", "mask_batch"_a = 1, "mask_heads"_a = 1,
      "limits_keys"_a = false, "has_alibi"_a = false, "has_softcap"_a = false, "has_sinks"_a = false,
      "has_aligned_rows"_a = false, "window_right"_a = -1, "is_top_left"_a = false,
      "max_seconds"_a = kMaxDispatchSeconds, "most_parts"_a = 1,
      "The kernels that a call of these sizes launches on a GPU of this family (7 for M1, 9 for M4 ...), and the "
      "first `most_parts` of the parts in which each is dispatched.");
  module.def("cache_plan", &cache_plan, "tokens"_a, "The kernel that writes so many tokens to a paged cache.");
  module.def("copy_plan", &copy_plan, "pairs"_a, "units"_a, "The kernel that copies blocks of so many loads each.");
  module.def("merge_plan", &merge_plan, "element"_a, "head_dim"_a, "The kernel that merges states, here of one row.");
}

} // namespace fused_attn
