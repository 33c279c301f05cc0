// The counts as JSON: the keys are the fields of metalsim/counts.py.
#include "counters.h"

#include <cstdio>
#include <dlfcn.h>
#include <map>
#include <tuple>

namespace metalsim::checker {

namespace {

using Amounts = std::map<std::string, uint64_t>;

std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (const char character : text) {
    if (character == '"' || character == '\\') {
      result += '\\';
    }
    if (static_cast<unsigned char>(character) < ' ') {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(character));
      result += escape;
    } else {
      result += character;
    }
  }
  return result + "\"";
}

/// Writes the members of a JSON object.
class Object {
public:
  void add(const std::string& key, uint64_t value) { add_text(key, std::to_string(value)); }
  void add_text(const std::string& key, const std::string& json) {
    members_ += (members_.empty() ? "" : ", ") + quoted(key) + ": " + json;
  }
  std::string json() const { return "{" + members_ + "}"; }

private:
  std::string members_;
};

std::string amounts_json(const Amounts& amounts) {
  Object object;
  for (const auto& [name, amount] : amounts) {
    if (amount != 0) {
      object.add(name, amount);
    }
  }
  return object.json();
}

const instrumentation::Library* library_of(const Request& request) {
  Dl_info information;
  if (dladdr(request.kernel, &information) == 0) {
    return nullptr;
  }
  void* library = dlopen(information.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
  if (!library) {
    return nullptr;
  }
  const void* symbol = dlsym(library, instrumentation::kLibrarySymbol);
  dlclose(library); // one reference less: the kernel itself still holds it
  return static_cast<const instrumentation::Library*>(symbol);
}

Amounts executed_operations(const instrumentation::Library& library) {
  Amounts amounts;
  for (uint32_t block = 0; block < library.block_count; ++block) {
    for (uint32_t kind = 0; kind < library.class_count; ++kind) {
      const uint64_t in_block = library.operations[size_t{block} * library.class_count + kind];
      amounts[library.class_names[kind]] += library.executions[block] * in_block;
    }
  }
  return amounts;
}

uint64_t take(Amounts& amounts, const char* name) {
  const auto found = amounts.find(name);
  if (found == amounts.end()) {
    return 0;
  }
  const uint64_t amount = found->second;
  amounts.erase(found);
  return amount;
}

void add_operations(Object& object, const Totals& totals, const instrumentation::Library* library) {
  Amounts operations = library ? executed_operations(*library) : Amounts();
  object.add("constant_loaded_bytes", take(operations, instrumentation::kConstantLoadedBytes));
  object.add("thread_loaded_bytes", totals.thread_bytes[0] + take(operations, instrumentation::kThreadLoadedBytes));
  object.add("thread_stored_bytes", totals.thread_bytes[1] + take(operations, instrumentation::kThreadStoredBytes));
  Amounts conversions;
  for (auto entry = operations.begin(); entry != operations.end();) {
    if (entry->first.find('>') != std::string::npos) {
      conversions.insert(operations.extract(entry++));
    } else {
      ++entry;
    }
  }
  object.add_text("conversions", amounts_json(conversions));
  object.add_text("operations", amounts_json(operations));
}

std::string matrix_name(uint32_t types) {
  static const char* const names[] = {"f32", "f16", "bf16", "?"};
  const auto name = [&](uint32_t shift) { return std::string(names[types >> shift & 3]); };
  return name(6) + "=" + name(4) + "*" + name(2) + "+" + name(0);
}

void add_simdgroup_operations(Object& object, const Totals& totals) {
  Amounts products;
  for (const auto& [types, amount] : totals.matrix_products) {
    products[matrix_name(types)] += amount;
  }
  object.add_text("matrix_products", amounts_json(products));
  const auto event = [&](abi::Event one) { return totals.events[static_cast<size_t>(one)]; };
  object.add_text("fragment_loads", amounts_json({{"device", event(abi::Event::fragment_load_device)},
                                                  {"threadgroup", event(abi::Event::fragment_load_threadgroup)},
                                                  {"thread", event(abi::Event::fragment_load_thread)}}));
  object.add_text("fragment_stores", amounts_json({{"device", event(abi::Event::fragment_store_device)},
                                                   {"threadgroup", event(abi::Event::fragment_store_threadgroup)},
                                                   {"thread", event(abi::Event::fragment_store_thread)}}));
  object.add("shuffles", totals.shuffles);
  object.add("reductions", totals.reductions);
  object.add("votes", totals.votes);
  object.add("exponentials", event(abi::Event::exponential));
  object.add("logarithms", event(abi::Event::logarithm));
  object.add("transcendentals", event(abi::Event::transcendental));
  object.add("reciprocals", event(abi::Event::reciprocal));
  object.add("square_roots", event(abi::Event::square_root));
  object.add("threadgroup_barriers", totals.threadgroup_barriers);
  object.add("simdgroup_barriers", totals.simdgroup_barriers);
}

std::string device_json(const Totals& totals) {
  Object buffers;
  for (uint32_t index = 0; index < abi::kMaxBindings; ++index) {
    const auto& [loads, stores] = totals.device[index];
    if (loads.instructions + stores.instructions == 0) {
      continue;
    }
    Object buffer;
    buffer.add("loaded_bytes", loads.bytes);
    buffer.add("stored_bytes", stores.bytes);
    buffer.add("load_instructions", loads.instructions);
    buffer.add("store_instructions", stores.instructions);
    buffer.add("load_transactions", loads.transactions);
    buffer.add("store_transactions", stores.transactions);
    buffers.add_text(std::to_string(index), buffer.json());
  }
  return buffers.json();
}

std::string threadgroup_json(const Totals& totals) {
  const auto& [loads, stores] = totals.threadgroup;
  Object object;
  object.add("loaded_bytes", loads.bytes);
  object.add("stored_bytes", stores.bytes);
  object.add("load_instructions", loads.instructions);
  object.add("store_instructions", stores.instructions);
  object.add("load_cycles_apple7", loads.cycles_apple7);
  object.add("store_cycles_apple7", stores.cycles_apple7);
  object.add("load_cycles_apple9", loads.cycles_apple9);
  object.add("store_cycles_apple9", stores.cycles_apple9);
  return object.json();
}

uint64_t threadgroup_memory(const Request& request) {
  uint64_t bytes = request.kernel->threadgroup_bytes ? *request.kernel->threadgroup_bytes : 0;
  for (const uint64_t argument : request.threadgroup_memory) {
    bytes += (argument + 15) / 16 * 16;
  }
  return bytes;
}

std::string lines_json(const Totals& totals, const Sites& sites) {
  std::map<std::tuple<std::string, uint32_t, std::string, std::string>, Traffic> lines;
  for (uint32_t number = 0; number < totals.sites.size(); ++number) {
    const Site* site = sites.find(number);
    if (!site) {
      continue;
    }
    const std::string file = site->file ? site->file : "";
    const char* kind = (site->flags & abi::kStore) != 0 ? "store" : "load";
    const SiteTraffic& traffic = totals.sites[number];
    if (traffic.device.instructions != 0) {
      lines[{file, site->line, "device", kind}].add(traffic.device);
    }
    if (traffic.threadgroup.instructions != 0) {
      lines[{file, site->line, "threadgroup", kind}].add(traffic.threadgroup);
    }
  }
  std::string json;
  for (const auto& [key, traffic] : lines) {
    const auto& [file, line, space, kind] = key;
    Object object;
    object.add_text("file", quoted(file));
    object.add("line", line);
    object.add_text("space", quoted(space));
    object.add_text("kind", quoted(kind));
    object.add("instructions", traffic.instructions);
    object.add("bytes", traffic.bytes);
    object.add("transactions", traffic.transactions);
    object.add("cycles_apple7", traffic.cycles_apple7);
    object.add("cycles_apple9", traffic.cycles_apple9);
    json += (json.empty() ? "" : ", ") + object.json();
  }
  return "[" + json + "]";
}

} // namespace

void reset_operations(const Request& request) {
  if (const instrumentation::Library* library = library_of(request)) {
    for (uint32_t block = 0; block < library->block_count; ++block) {
      library->executions[block] = 0;
    }
  }
}

std::string to_json(const Totals& totals, const Request& request, const Sites& sites) {
  Object object;
  object.add("threadgroups", totals.threadgroups);
  object.add("simdgroups", totals.simdgroups);
  object.add("threads", totals.threads);
  object.add("threadgroup_memory", threadgroup_memory(request));
  add_simdgroup_operations(object, totals);
  add_operations(object, totals, library_of(request));
  object.add_text("device", device_json(totals));
  object.add_text("threadgroup", threadgroup_json(totals));
  if ((request.mode & kLines) != 0) {
    object.add_text("lines", lines_json(totals, sites));
  }
  return object.json();
}

} // namespace metalsim::checker
