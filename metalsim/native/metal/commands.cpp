#include "commands.h"

#include "limits.h"
#include "run_dispatch.h"
#include "validation.h"

#include <algorithm>
#include <cstring>

namespace metalsim::metal {

namespace {

constexpr uint64_t kBlockBytes = 64 * 1024;
constexpr uint64_t kAlignment = 32; // of ulong4, the widest type of Metal's

std::shared_ptr<BufferMemory> hold(const BufferReference& reference, const char* command) {
  std::shared_ptr<BufferMemory> memory = reference.memory.lock();
  if (!memory) {
    refuse(std::string(command) +
           " ran after one of its buffers had been released; keep the buffer until the command buffer has completed, "
           "or use a command buffer with retained references");
  }
  return memory;
}

void run(const CopyCommand& copy) {
  const char* const name = "-[MTLBlitCommandEncoder copyFromBuffer:sourceOffset:toBuffer:destinationOffset:size:]";
  const std::shared_ptr<BufferMemory> source = hold(copy.source, name);
  const std::shared_ptr<BufferMemory> destination = hold(copy.destination, name);
  std::memmove(destination->address() + copy.destination.offset, source->address() + copy.source.offset, copy.length);
}

void run(const FillCommand& fill) {
  const std::shared_ptr<BufferMemory> memory = hold(fill.buffer, "-[MTLBlitCommandEncoder fillBuffer:range:value:]");
  std::memset(memory->address() + fill.buffer.offset, fill.value, fill.length);
}

void run(const DispatchCommand& dispatch) {
  run_plainly(dispatch);
}

void run(const OtherCommand& command) {
  command();
}

} // namespace

char* CommandList::allocate(uint32_t length) {
  const uint64_t needed = (length + kAlignment - 1) / kAlignment * kAlignment;
  if (blocks_.empty() || used_ + needed > kBlockBytes) {
    // One alignment more, because operator new promises only 16 bytes of it.
    blocks_.push_back(std::make_unique_for_overwrite<char[]>(kBlockBytes + kAlignment));
    // What a kernel reads past the end of its bytes is no plausible number.
    std::memset(blocks_.back().get(), 0xFF, kBlockBytes + kAlignment);
    used_ = 0;
  }
  const uintptr_t begin = reinterpret_cast<uintptr_t>(blocks_.back().get());
  char* const address = blocks_.back().get() + (kAlignment - begin % kAlignment) % kAlignment + used_;
  used_ += needed;
  return address;
}

void CommandList::reverse_from(size_t first) {
  if (first < commands_.size()) {
    std::reverse(commands_.begin() + static_cast<std::ptrdiff_t>(first), commands_.end());
  }
}

std::vector<Command> CommandList::take() {
  return std::exchange(commands_, {});
}

void CommandList::clear() {
  commands_.clear();
  blocks_.clear();
  used_ = 0;
}

void run(const Command& command) {
  std::visit([](const auto& which) { run(which); }, command);
}

} // namespace metalsim::metal
