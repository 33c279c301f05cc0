// What a command buffer holds between encoding and execution.
#pragma once

#include "buffer_memory.h"
#include "pipeline_state.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace metalsim::metal {

/// A buffer as a command knows it. The command does not keep it: that is the command buffer's to do, or, with
/// unretained references, the host's.
struct BufferReference {
  std::weak_ptr<BufferMemory> memory;
  uint64_t offset = 0;
};

struct BoundBuffer {
  uint32_t index;
  BufferReference buffer;
};

/// A copy of what setBytes:length:atIndex: got, in the memory of the command list.
struct BoundBytes {
  uint32_t index;
  uint32_t length;
  char* address;
};

struct DispatchCommand {
  std::shared_ptr<PipelineState> pipeline;
  std::vector<BoundBuffer> buffers;
  std::vector<BoundBytes> bytes;
  std::vector<std::pair<uint32_t, uint32_t>> threadgroup_memory; ///< index and length
  uint32_t threads_per_grid[3] = {};
  uint32_t threads_per_threadgroup[3] = {};
  bool is_indirect = false; ///< then `threadgroups` says at execution what threads_per_grid is
  BufferReference threadgroups;
  std::string encoded_by; ///< the operator of torch that was running; empty if none is known
};

struct CopyCommand {
  BufferReference source, destination;
  uint64_t length;
};

struct FillCommand {
  BufferReference buffer;
  uint64_t length;
  uint8_t value;
};

/// Anything that commands do seldom enough not to care what it costs: events.
using OtherCommand = std::function<void()>;

using Command = std::variant<DispatchCommand, CopyCommand, FillCommand, OtherCommand>;

/// Commands in the order in which they will run.
class CommandList {
public:
  /// Room for the bytes of a binding, aligned for every type of Metal's; it stays where it is until the list is
  /// cleared.
  char* allocate(uint32_t length);

  void append(Command command) { commands_.push_back(std::move(command)); }
  size_t size() const { return commands_.size(); }
  /// Turns the order of the commands from `first` on around.
  void reverse_from(size_t first);
  /// Removes and returns the commands. The memory of allocate() stays.
  std::vector<Command> take();
  void clear();

private:
  std::vector<Command> commands_;
  std::vector<std::unique_ptr<char[]>> blocks_;
  uint64_t used_ = 0; ///< of the last block
};

/// Runs a command to its end. Throws ExecutionFailed, or, where host code broke a rule that shows only now, what
/// refuse() throws.
void run(const Command& command);
/// Runs a dispatch under the compiler's checks, and throws what they found. Returns its matrix products if those of a
/// command buffer are limited.
uint64_t run_observed(const DispatchCommand& dispatch);

} // namespace metalsim::metal
