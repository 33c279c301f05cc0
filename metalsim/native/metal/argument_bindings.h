// The argument table of a compute encoder: what is bound, the rules about it, and a dispatch made of it.
#pragma once

#include "commands.h"

#include <cstdint>
#include <memory>

namespace metalsim::metal {

class ArgumentBindings {
public:
  // Each throws what refuse() throws if it breaks a rule; `call` is the method for the sentence.
  void set_buffer(const char* call, const std::shared_ptr<BufferMemory>& memory, uint64_t offset, uint64_t index);
  void clear_buffer(const char* call, uint64_t index);
  void set_offset(const char* call, uint64_t offset, uint64_t index);
  void set_bytes(const char* call, CommandList& list, const void* bytes, uint64_t length, uint64_t index);
  void set_threadgroup_memory(const char* call, uint64_t length, uint64_t index);
  void set_pipeline(std::shared_ptr<PipelineState> pipeline);

  /// From here on another operation of torch encodes, see metalsim_begin_operation.
  void begin_operation() { ++operation_; }

  /// A dispatch of the pipeline with what it uses of the bindings, the grid not filled in.
  DispatchCommand dispatch(const char* call) const;
  /// The pipeline that a dispatch would run; refused if there is none.
  const PipelineState& pipeline(const char* call) const;

private:
  enum class Kind : uint8_t { nothing, buffer, bytes };
  struct Slot {
    Kind kind = Kind::nothing;
    uint64_t operation = 0; ///< in which it was set
    uint64_t length = 0;    ///< of the buffer, or of the bytes
    uint64_t offset = 0;
    char* bytes = nullptr;
    std::weak_ptr<BufferMemory> memory;
  };
  struct ThreadgroupMemory {
    uint64_t operation = 0;
    uint32_t length = 0;
  };

  void check_index(const char* call, uint64_t index) const;
  void check_buffer(const char* call, const abi::Argument& argument) const;
  void check_operation(const char* call, const std::string& what, uint64_t operation) const;
  void add_threadgroup_memory(const char* call, DispatchCommand& command) const;

  Slot slots_[abi::kMaxBindings];
  ThreadgroupMemory threadgroup_memory_[abi::kMaxBindings];
  std::shared_ptr<PipelineState> pipeline_;
  uint64_t pipeline_operation_ = 0;
  uint64_t operation_ = 0;
};

} // namespace metalsim::metal
