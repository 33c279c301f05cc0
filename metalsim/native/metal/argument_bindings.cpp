#include "argument_bindings.h"

#include "limits.h"
#include "settings.h"
#include "validation.h"

#include <cstring>

namespace metalsim::metal {

namespace {

std::string at_index(uint64_t index) {
  return " at index " + text(index);
}

std::string argument_name(const abi::Argument& argument) {
  return std::string("'") + argument.name + "'" + at_index(argument.index);
}

void check_offset(const char* call, uint64_t offset, uint64_t length, uint64_t index) {
  if (offset >= length) {
    refuse(std::string(call) + " got offset " + text(offset) + at_index(index) + ", but the buffer has " +
           text(length) + " bytes; the offset must be smaller than that");
  }
}

} // namespace

void ArgumentBindings::check_index(const char* call, uint64_t index) const {
  if (index >= abi::kMaxBindings) {
    refuse(std::string(call) + " got index " + text(index) + "; it must be less than " + text(abi::kMaxBindings));
  }
}

void ArgumentBindings::set_buffer(const char* call, const std::shared_ptr<BufferMemory>& memory, uint64_t offset,
                                  uint64_t index) {
  check_index(call, index);
  check_offset(call, offset, memory->length(), index);
  Slot& slot = slots_[index];
  slot.kind = Kind::buffer;
  slot.operation = operation_;
  slot.length = memory->length();
  slot.offset = offset;
  slot.memory = memory;
}

void ArgumentBindings::clear_buffer(const char* call, uint64_t index) {
  check_index(call, index);
  slots_[index] = {};
}

void ArgumentBindings::set_offset(const char* call, uint64_t offset, uint64_t index) {
  check_index(call, index);
  Slot& slot = slots_[index];
  if (slot.kind != Kind::buffer) {
    refuse(std::string(call) + " got index " + text(index) +
           ", where no buffer is bound; bind one with setBuffer:offset:atIndex: first");
  }
  check_offset(call, offset, slot.length, index);
  slot.offset = offset;
  slot.operation = operation_;
}

void ArgumentBindings::set_bytes(const char* call, CommandList& list, const void* bytes, uint64_t length,
                                 uint64_t index) {
  check_index(call, index);
  if (bytes == nullptr) {
    refuse(std::string(call) + " got NULL" + at_index(index) + "; it must be the address of " + text(length) +
           " bytes");
  }
  if (length == 0 || length > kMaxInlineBytes) {
    refuse(std::string(call) + " got " + text(length) + " bytes" + at_index(index) + "; it takes 1 to " +
           text(kMaxInlineBytes) + " (bind a buffer for more)");
  }
  Slot& slot = slots_[index];
  slot.bytes = list.allocate(static_cast<uint32_t>(length));
  std::memcpy(slot.bytes, bytes, length);
  slot.kind = Kind::bytes;
  slot.operation = operation_;
  slot.length = length;
  slot.offset = 0;
  slot.memory.reset();
}

void ArgumentBindings::set_threadgroup_memory(const char* call, uint64_t length, uint64_t index) {
  check_index(call, index);
  if (length % kThreadgroupMemoryMultiple != 0) {
    refuse(std::string(call) + " got " + text(length) + " bytes" + at_index(index) +
           "; the length must be a multiple of 16");
  }
  if (length > abi::kThreadgroupMemory) {
    refuse(std::string(call) + " got " + text(length) + " bytes" + at_index(index) + "; a threadgroup has at most " +
           text(abi::kThreadgroupMemory));
  }
  threadgroup_memory_[index] = {operation_, static_cast<uint32_t>(length)};
}

void ArgumentBindings::set_pipeline(std::shared_ptr<PipelineState> pipeline) {
  pipeline_ = std::move(pipeline);
  pipeline_operation_ = operation_;
}

const PipelineState& ArgumentBindings::pipeline(const char* call) const {
  if (!pipeline_) {
    refuse(std::string(call) + " has no pipeline to run; call setComputePipelineState: first");
  }
  return *pipeline_;
}

void ArgumentBindings::check_operation(const char* call, const std::string& what, uint64_t operation) const {
  if (settings().strict_bindings && operation != operation_) {
    refuse(of_kernel(call, *pipeline_) + " uses " + what +
           ", which an earlier operation left on the shared encoder; set it in the operation that dispatches");
  }
}

void ArgumentBindings::check_buffer(const char* call, const abi::Argument& argument) const {
  const Slot& slot = slots_[argument.index];
  if (slot.kind == Kind::nothing) {
    refuse(of_kernel(call, *pipeline_) + " has nothing bound to " + argument_name(argument) +
           ", which the kernel uses; bind a buffer or bytes");
  }
  if (slot.kind == Kind::bytes && argument.is_writable) {
    refuse(of_kernel(call, *pipeline_) + " has bytes bound to " + argument_name(argument) +
           ", which the kernel may write to; bind a buffer, or declare the argument const");
  }
  if (argument.alignment > 1 && slot.offset % argument.alignment != 0) {
    refuse(of_kernel(call, *pipeline_) + " has offset " + text(slot.offset) + " bound to " + argument_name(argument) +
           "; it must be a multiple of " + text(argument.alignment) + ", the alignment of the argument's type");
  }
  if (argument.is_reference && slot.length - slot.offset < argument.size) {
    refuse(of_kernel(call, *pipeline_) + " has " + text(slot.length - slot.offset) + " bytes bound to " +
           argument_name(argument) + ", whose type has " + text(argument.size) + "; bind at least as many");
  }
  check_operation(call, "what is bound to " + argument_name(argument), slot.operation);
}

void ArgumentBindings::add_threadgroup_memory(const char* call, DispatchCommand& command) const {
  uint64_t total = pipeline_->static_threadgroup_bytes;
  for (const abi::Argument& argument : pipeline_->threadgroup_memory) {
    const ThreadgroupMemory& memory = threadgroup_memory_[argument.index];
    if (memory.length == 0) {
      refuse(of_kernel(call, *pipeline_) + " has no threadgroup memory for " + argument_name(argument) +
             "; call setThreadgroupMemoryLength:atIndex: first");
    }
    check_operation(call, "the length of threadgroup memory " + argument_name(argument), memory.operation);
    total += memory.length;
    command.threadgroup_memory.emplace_back(argument.index, memory.length);
  }
  if (total > abi::kThreadgroupMemory) {
    refuse(of_kernel(call, *pipeline_) + " needs " + text(total) + " bytes of threadgroup memory, " +
           text(pipeline_->static_threadgroup_bytes) + " of them declared in the kernel; a threadgroup has at most " +
           text(abi::kThreadgroupMemory));
  }
}

DispatchCommand ArgumentBindings::dispatch(const char* call) const {
  DispatchCommand command;
  check_operation(call, "a pipeline", pipeline_operation_);
  for (const abi::Argument& argument : pipeline_->buffers) {
    if (pipeline_->uses(argument)) {
      check_buffer(call, argument);
    }
    const Slot& slot = slots_[argument.index];
    if (slot.kind == Kind::buffer) {
      command.buffers.push_back({argument.index, {slot.memory, slot.offset}});
    } else if (slot.kind == Kind::bytes) {
      command.bytes.push_back({argument.index, static_cast<uint32_t>(slot.length), slot.bytes});
    }
  }
  add_threadgroup_memory(call, command);
  command.pipeline = pipeline_;
  return command;
}

} // namespace metalsim::metal
