// metalsim-instrument: the order in which the parts work on a module.
#include "accesses.h"
#include "operations.h"
#include "origin.h"
#include "passes.h"
#include "sites.h"
#include "thread_bounds.h"
#include "uninitialized.h"

#include "llvm/IR/Module.h"

#include <vector>

using namespace llvm;

namespace metalsim::instrument {

PreservedAnalyses InstrumentPass::run(Module& module, ModuleAnalysisManager&) {
  const Origins origins(module);
  SiteTable sites(module, origins);
  OperationTable operations(origins);
  std::vector<Function*> functions;
  for (Function& function : module) {
    if (!function.isDeclaration()) {
      functions.push_back(&function);
    }
  }
  std::vector<MemoryAccess> accesses;
  for (Function* function : functions) {
    const std::vector<MemoryAccess> own = accesses_of(*function);
    operations.add(*function, own);
    accesses.insert(accesses.end(), own.begin(), own.end());
  }
  // From here on the code is no longer the kernel's alone: each part has taken down what it works on.
  for (Function* function : functions) {
    report_uninitialized_reads(*function, origins, sites);
  }
  replace_uninitialized_sources(module);
  report_accesses(accesses, module, origins, sites);
  report_thread_bounds(accesses, module, sites);
  operations.emit(module);
  return PreservedAnalyses::none();
}

} // namespace metalsim::instrument
