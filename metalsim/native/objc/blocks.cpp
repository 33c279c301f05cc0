// Blocks, after clang's "Block Implementation Specification".
#include "arc.h"

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace {

// Bits of the flags of blocks and of __block variables. The count of references goes in steps of two.
constexpr int32_t kReferences = 0xfffe;
constexpr int32_t kOneReference = 2;
constexpr int32_t kIsOnHeap = 1 << 24;
constexpr int32_t kHasCopyAndDispose = 1 << 25;
constexpr int32_t kIsGlobal = 1 << 28;

// What a captured variable is.
constexpr int kIsObject = 3;
constexpr int kIsBlock = 7;
constexpr int kIsVariable = 8; ///< of storage class __block
constexpr int kIsWeak = 16;
constexpr int kCalledForVariable = 128; ///< to copy or destroy a __block variable itself

struct BlockDescriptor {
  unsigned long reserved;
  unsigned long size;
  void (*copy)(void* to, const void* from); ///< these two exist with kHasCopyAndDispose only
  void (*dispose)(const void* block);
};

struct Block {
  void* isa;
  int32_t flags;
  int32_t reserved;
  void (*invoke)();
  BlockDescriptor* descriptor;
};

struct Variable {
  void* isa;
  Variable* current; ///< itself, or its copy on the heap
  int32_t flags;
  uint32_t size;
};

struct VariableHelpers {
  void (*copy)(Variable* to, Variable* from);
  void (*dispose)(Variable* variable);
};

std::atomic_ref<int32_t> atomic(int32_t& flags) {
  return std::atomic_ref<int32_t>(flags);
}

bool has(int32_t flags, int32_t bits) {
  return (flags & bits) == bits;
}

/// Whether that was the last reference.
bool drop_reference(int32_t& flags) {
  return ((atomic(flags).fetch_sub(kOneReference) - kOneReference) & kReferences) == 0;
}

Variable* moved_to_heap(Variable* source) {
  auto* variable = static_cast<Variable*>(malloc(source->size));
  memcpy(variable, source, source->size);
  // Two owners: the block that is being copied, and the scope where the variable was declared.
  variable->flags = source->flags | kIsOnHeap | (2 * kOneReference);
  variable->current = variable;
  source->current = variable;
  if (has(source->flags, kHasCopyAndDispose)) {
    reinterpret_cast<VariableHelpers*>(source + 1)->copy(variable, source);
  }
  return variable;
}

Variable* retained(Variable* variable) {
  Variable* current = variable->current;
  if (!has(current->flags, kIsOnHeap)) {
    return moved_to_heap(variable);
  }
  atomic(current->flags).fetch_add(kOneReference);
  return current;
}

void release(Variable* variable) {
  Variable* current = variable->current;
  if (!has(current->flags, kIsOnHeap) || !drop_reference(current->flags)) {
    return;
  }
  if (has(current->flags, kHasCopyAndDispose)) {
    reinterpret_cast<VariableHelpers*>(current + 1)->dispose(current);
  }
  free(current);
}

} // namespace

/// The class of blocks on the heap; an alias of Foundation's class.
extern "C" char _NSConcreteMallocBlock[];

METALSIM_EXPORT void* _Block_copy(const void* address) {
  auto* block = static_cast<Block*>(const_cast<void*>(address));
  if (block == nullptr || has(block->flags, kIsGlobal)) {
    return block;
  }
  if (has(block->flags, kIsOnHeap)) {
    atomic(block->flags).fetch_add(kOneReference);
    return block;
  }
  const unsigned long size = block->descriptor->size;
  auto* copy = static_cast<Block*>(malloc(size));
  memcpy(copy, block, size);
  copy->flags = (block->flags & ~kReferences) | kIsOnHeap | kOneReference;
  copy->isa = _NSConcreteMallocBlock;
  if (has(copy->flags, kHasCopyAndDispose)) {
    copy->descriptor->copy(copy, block);
  }
  return copy;
}

METALSIM_EXPORT void _Block_release(const void* address) {
  auto* block = static_cast<Block*>(const_cast<void*>(address));
  if (block == nullptr || !has(block->flags, kIsOnHeap) || !drop_reference(block->flags)) {
    return;
  }
  if (has(block->flags, kHasCopyAndDispose)) {
    block->descriptor->dispose(block);
  }
  free(block);
}

METALSIM_EXPORT void* objc_retainBlock(void* block) {
  return _Block_copy(block);
}

METALSIM_EXPORT void _Block_object_assign(void* destination, const void* source, const int kind) {
  void* object = const_cast<void*>(source);
  auto& result = *static_cast<void**>(destination);
  if ((kind & kIsVariable) != 0) {
    result = retained(static_cast<Variable*>(object));
  } else if ((kind & (kCalledForVariable | kIsWeak)) != 0) {
    result = object; // not owned
  } else if ((kind & kIsBlock) == kIsBlock) {
    result = _Block_copy(object);
  } else if ((kind & kIsObject) == kIsObject) {
    result = objc_retain(object);
  } else {
    result = object;
  }
}

METALSIM_EXPORT void _Block_object_dispose(const void* source, const int kind) {
  void* object = const_cast<void*>(source);
  if ((kind & kIsVariable) != 0) {
    release(static_cast<Variable*>(object));
  } else if ((kind & (kCalledForVariable | kIsWeak)) != 0) {
    return; // not owned
  } else if ((kind & kIsBlock) == kIsBlock) {
    _Block_release(object);
  } else if ((kind & kIsObject) == kIsObject) {
    objc_release(object);
  }
}
