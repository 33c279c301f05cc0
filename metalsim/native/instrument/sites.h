// Builds the instrumentation::Site structures of a module.
#pragma once

#include "origin.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/IR/DebugInfoMetadata.h"
#include "llvm/IR/Module.h"

namespace metalsim::instrument {

class SiteTable {
public:
  SiteTable(llvm::Module& module, const Origins& origins);

  /// A constant Site for `instruction`. `flags` as in instrumentation::Site.
  llvm::Constant* add(const llvm::Instruction& instruction, const Origin& origin, uint32_t flags);

private:
  llvm::Constant* text(llvm::StringRef text);

  llvm::Module& module_;
  const Origins& origins_;
  llvm::StructType* type_;
  llvm::StringMap<llvm::Constant*> texts_;
  uint32_t count_ = 0;
};

} // namespace metalsim::instrument
