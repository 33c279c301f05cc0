// Reports accesses to memory to metalsim_access.
#pragma once

#include "origin.h"
#include "sites.h"

#include "llvm/IR/Function.h"

#include <vector>

namespace metalsim::instrument {

/// One side of an instruction that accesses memory.
struct MemoryAccess {
  llvm::Instruction* instruction;
  unsigned operand;    ///< number of the address among its operands
  llvm::Value* length; ///< in bytes; null = `size`
  uint64_t size;
  uint32_t flags; ///< as in instrumentation::Site

  llvm::Value* address() const { return instruction->getOperand(operand); }
};

std::vector<MemoryAccess> accesses_of(llvm::Function& function);

/// Inserts the calls. Accesses to a thread's variables and to constants are not reported one by one: operations.h
/// counts them.
void report_accesses(const std::vector<MemoryAccess>& accesses, llvm::Module& module, const Origins& origins,
                     SiteTable& sites);

} // namespace metalsim::instrument
