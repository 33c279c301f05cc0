// metalsim-reflect: which buffers a kernel uses and how much threadgroup memory it needs, once it is optimised.
//
// The shim asks the runtime for both by calls of functions without side effects, so that the optimiser removes the
// calls whose results nobody needs, as Apple's compiler removes unused arguments and variables.
#include "passes.h"

#include "../abi.h"

#include "llvm/IR/Constants.h"
#include "llvm/IR/InstrTypes.h"
#include "llvm/IR/Instructions.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/Alignment.h"

#include <map>
#include <set>

using namespace llvm;

namespace metalsim::instrument {

namespace {

constexpr uint64_t kLeastAlignment = 16;

/// A threadgroup variable's size and alignment.
struct Extent {
  uint64_t size;
  uint64_t alignment;
};

/// The constants that a value may be: calls in two branches may have become one call, whose argument depends on the
/// branch.
void add_constants(const Value* value, std::set<uint64_t>& constants, std::set<const Value*>& visited) {
  if (!visited.insert(value).second) {
    return;
  }
  if (const auto* constant = dyn_cast<ConstantInt>(value)) {
    constants.insert(constant->getZExtValue());
  } else if (const auto* select = dyn_cast<SelectInst>(value)) {
    add_constants(select->getTrueValue(), constants, visited);
    add_constants(select->getFalseValue(), constants, visited);
  } else if (const auto* phi = dyn_cast<PHINode>(value)) {
    for (const Value* incoming : phi->incoming_values()) {
      add_constants(incoming, constants, visited);
    }
  }
}

std::set<uint64_t> constants_of(const Value* value) {
  std::set<uint64_t> constants;
  std::set<const Value*> visited;
  add_constants(value, constants, visited);
  return constants;
}

template <typename Visitor> void for_each_call(const Module& module, StringRef name, Visitor visit) {
  const Function* function = module.getFunction(name);
  if (!function) {
    return;
  }
  for (const User* user : function->users()) {
    const auto* call = dyn_cast<CallBase>(user);
    if (call && call->getCalledFunction() == function) {
      visit(*call);
    }
  }
}

uint32_t used_buffers(const Module& module) {
  uint32_t used = 0;
  for_each_call(module, "metalsim_buffer", [&](const CallBase& call) {
    for (const uint64_t index : constants_of(call.getArgOperand(1))) {
      used |= uint32_t{1} << index;
    }
  });
  return used;
}

uint32_t threadgroup_bytes(const Module& module) {
  std::map<uint64_t, Extent> variables;
  for_each_call(module, "metalsim_threadgroup_variable", [&](const CallBase& call) {
    const std::set<uint64_t> sizes = constants_of(call.getArgOperand(1));
    const std::set<uint64_t> alignments = constants_of(call.getArgOperand(2));
    for (const uint64_t id : constants_of(call.getArgOperand(0))) {
      Extent& extent = variables.try_emplace(id, Extent{0, kLeastAlignment}).first->second;
      extent.size = std::max(extent.size, *sizes.rbegin());
      extent.alignment = std::max(extent.alignment, *alignments.rbegin());
    }
  });
  uint64_t bytes = 0;
  for (const auto& [id, extent] : variables) {
    bytes = alignTo(bytes, extent.alignment) + extent.size;
  }
  return static_cast<uint32_t>(alignTo(bytes, kLeastAlignment));
}

bool define(Module& module, StringRef name, uint32_t value) {
  GlobalVariable* variable = module.getNamedGlobal(name);
  if (!variable || !variable->getValueType()->isIntegerTy(32)) {
    return false;
  }
  variable->setInitializer(ConstantInt::get(variable->getValueType(), value));
  // It was weak only so that nobody relies on the value that it had so far.
  variable->setComdat(nullptr);
  variable->setLinkage(GlobalValue::InternalLinkage);
  return true;
}

} // namespace

PreservedAnalyses ReflectPass::run(Module& module, ModuleAnalysisManager&) {
  const bool has_buffers = define(module, "metalsim_used_buffers", used_buffers(module));
  const bool has_memory = define(module, "metalsim_threadgroup_bytes", threadgroup_bytes(module));
  return has_buffers || has_memory ? PreservedAnalyses::none() : PreservedAnalyses::all();
}

} // namespace metalsim::instrument
