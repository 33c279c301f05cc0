// Reports uses of uninitialised values to metalsim_uninitialized_read.
#pragma once

#include "origin.h"
#include "sites.h"

#include "llvm/IR/Function.h"

namespace metalsim::instrument {

void report_uninitialized_reads(llvm::Function& function, const Origins& origins, SiteTable& sites);

/// Gives what metalsim-mark left a value: one that shows in results, a NaN where it is a number.
void replace_uninitialized_sources(llvm::Module& module);

} // namespace metalsim::instrument
