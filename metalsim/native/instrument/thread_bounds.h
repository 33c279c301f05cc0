// Reports accesses to a thread's variables that are not inside of them to metalsim_thread_out_of_bounds.
#pragma once

#include "accesses.h"

#include <vector>

namespace metalsim::instrument {

void report_thread_bounds(const std::vector<MemoryAccess>& accesses, llvm::Module& module, SiteTable& sites);

} // namespace metalsim::instrument
