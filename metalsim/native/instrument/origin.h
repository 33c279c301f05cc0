// Where the address of an access comes from, as far as the code shows it.
#pragma once

#include "llvm/ADT/SmallPtrSet.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/Function.h"
#include "llvm/IR/Instructions.h"
#include "llvm/IR/Module.h"

#include <cstdint>

namespace metalsim::instrument {

enum class Space {
  buffer,      ///< a [[buffer(n)]]
  threadgroup, ///< a variable or argument of the threadgroup address space
  thread,      ///< a variable of the thread
  constant,    ///< a program-scope constant
  runtime,     ///< the runtime's own: what the thunk reads to call the kernel
  unknown,     ///< nothing of these, or not always the same
};

struct Origin {
  Space space = Space::unknown;
  int32_t buffer = -1;
  llvm::Constant* variable = nullptr; ///< name of the threadgroup variable
};

class Origins {
public:
  explicit Origins(const llvm::Module& module);

  Origin of(const llvm::Value* pointer) const;
  /// Whether the runtime calls this function with a Context.
  bool is_thunk(const llvm::Function& function) const { return thunks_.contains(&function); }

private:
  Origin of_object(const llvm::Value* object) const;
  Origin of_call(const llvm::CallBase& call) const;
  Origin of_loaded_pointer(const llvm::LoadInst& load) const;

  const llvm::DataLayout& layout_;
  llvm::SmallPtrSet<const llvm::Function*, 4> thunks_;
};

} // namespace metalsim::instrument
