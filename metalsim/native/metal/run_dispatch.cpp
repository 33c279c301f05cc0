#include "run_dispatch.h"

#include "execution.h"
#include "finding_text.h"
#include "settings.h"
#include "validation.h"

#include <algorithm>
#include <cstring>
#include <thread>

namespace metalsim::metal {

namespace {

std::string name_of(const DispatchCommand& dispatch) {
  std::string name = "execution of kernel '" + dispatch.pipeline->name + "'";
  if (!dispatch.encoded_by.empty()) {
    name += ", encoded by " + dispatch.encoded_by + ",";
  }
  return name;
}

/// A request of the runtime's, and what must live as long as it does.
class PreparedRequest {
public:
  explicit PreparedRequest(const DispatchCommand& dispatch) : dispatch_(dispatch) {
    const PipelineState& pipeline = *dispatch.pipeline;
    if (pipeline.is_released) {
      refuse(name_of(dispatch) + " began after its pipeline had been released; keep the pipeline until the command "
                                 "buffer has completed");
    }
    request_.kernel = pipeline.compiled.kernel;
    std::memcpy(request_.threads_per_grid, dispatch.threads_per_grid, sizeof request_.threads_per_grid);
    std::memcpy(request_.threads_per_threadgroup, dispatch.threads_per_threadgroup,
                sizeof request_.threads_per_threadgroup);
    if (dispatch.is_indirect) {
      read_grid();
    }
    held_.reserve(dispatch.buffers.size());
    for (const BoundBuffer& bound : dispatch.buffers) {
      bind(bound);
    }
    for (const BoundBytes& bound : dispatch.bytes) {
      request_.buffers[bound.index] = {bound.address, bound.address, bound.length};
    }
    for (const auto& [index, length] : dispatch.threadgroup_memory) {
      request_.threadgroup_memory[index] = length;
    }
    request_.workers = workers();
  }

  const Request& request() const { return request_; }
  bool has_threads() const {
    return request_.threads_per_grid[0] != 0 && request_.threads_per_grid[1] != 0 && request_.threads_per_grid[2] != 0;
  }

private:
  static uint32_t workers() {
    static const uint32_t cores = std::max(1u, std::thread::hardware_concurrency());
    return cores;
  }

  void bind(const BoundBuffer& bound) {
    std::shared_ptr<BufferMemory> memory = bound.buffer.memory.lock();
    if (!memory) {
      if (!(dispatch_.pipeline->used_buffers >> bound.index & 1)) {
        return;
      }
      refuse(name_of(dispatch_) + " found that the buffer bound at index " + text(bound.index) +
             " had been released; keep it until the command buffer has completed, or use a command buffer with "
             "retained references");
    }
    request_.buffers[bound.index] = {memory->address() + bound.buffer.offset, memory->address(), memory->length()};
    held_.push_back(std::move(memory));
  }

  /// Reads MTLDispatchThreadgroupsIndirectArguments.
  void read_grid() {
    const std::shared_ptr<BufferMemory> memory = dispatch_.threadgroups.memory.lock();
    if (!memory) {
      refuse(name_of(dispatch_) + " found that its indirect buffer had been released; keep it until the command buffer "
                                  "has completed");
    }
    uint32_t threadgroups[3];
    std::memcpy(threadgroups, memory->address() + dispatch_.threadgroups.offset, sizeof threadgroups);
    for (int axis = 0; axis < 3; ++axis) {
      const uint64_t threads = uint64_t{threadgroups[axis]} * request_.threads_per_threadgroup[axis];
      if (threads > UINT32_MAX) {
        throw ExecutionFailed(ExecutionFailed::Code::internal,
                              name_of(dispatch_) + " read " + text(threadgroups[axis]) +
                                  " threadgroups from its indirect buffer, which makes " + text(threads) +
                                  " threads along an axis; there can be 4294967295");
      }
      request_.threads_per_grid[axis] = static_cast<uint32_t>(threads);
    }
  }

  const DispatchCommand& dispatch_;
  Request request_ = {};
  std::vector<std::shared_ptr<BufferMemory>> held_;
};

} // namespace

void run_plainly(const DispatchCommand& dispatch) {
  const PreparedRequest prepared(dispatch);
  if (!prepared.has_threads()) {
    return;
  }
  const char* const answer = metalsim_dispatch(&prepared.request());
  finish_before_destructors();
  if (metalsim_finding_count() != 0) {
    throw ExecutionFailed(ExecutionFailed::Code::page_fault, name_of(dispatch) + " failed: " + first_finding(answer));
  }
}

uint64_t run_observed(const DispatchCommand& dispatch) {
  const PreparedRequest prepared(dispatch);
  if (!prepared.has_threads()) {
    return 0;
  }
  return compiler().run_observed(dispatch.pipeline->compiled, prepared.request(), settings().max_products != 0);
}

} // namespace metalsim::metal
