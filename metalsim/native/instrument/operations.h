// Counts what a kernel computes: how often each basic block runs, and a table of what is in it.
#pragma once

#include "accesses.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/IR/Function.h"

#include <map>
#include <string>
#include <vector>

namespace metalsim::instrument {

class OperationTable {
public:
  explicit OperationTable(const Origins& origins) : origins_(origins) {}

  /// Takes down what the kernel's code consists of: before anything is inserted into it.
  void add(llvm::Function& function, const std::vector<MemoryAccess>& accesses);
  /// Inserts the counters and exports the table as instrumentation::Library.
  void emit(llvm::Module& module);

private:
  using Amounts = std::map<uint32_t, uint32_t>; ///< by class

  void count(const llvm::Instruction& instruction, Amounts& amounts);
  void count_access(const MemoryAccess& access, Amounts& amounts);
  uint32_t class_of(llvm::StringRef name);
  llvm::Constant* class_names(llvm::Module& module) const;

  const Origins& origins_;
  llvm::StringMap<uint32_t> classes_;
  std::vector<std::string> names_;
  std::map<llvm::BasicBlock*, Amounts> amounts_;
  std::vector<llvm::BasicBlock*> blocks_; ///< those that contain anything, in their order
};

} // namespace metalsim::instrument
