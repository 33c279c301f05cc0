// Origins of addresses: see origin.h.
#include "origin.h"

#include "../abi.h"

#include "llvm/Analysis/ValueTracking.h"

using namespace llvm;

namespace metalsim::instrument {

namespace {

Origin in_space(Space space) {
  Origin origin;
  origin.space = space;
  return origin;
}

bool is_same(const Origin& a, const Origin& b) {
  return a.space == b.space && a.buffer == b.buffer && a.variable == b.variable;
}

} // namespace

Origins::Origins(const Module& module) : layout_(module.getDataLayout()) {
  const GlobalVariable* kernel = module.getNamedGlobal("metalsim_kernel");
  if (!kernel || !kernel->hasInitializer()) {
    return;
  }
  for (const Use& field : kernel->getInitializer()->operands()) {
    if (const auto* function = dyn_cast<Function>(field->stripPointerCasts())) {
      thunks_.insert(function);
    }
  }
}

Origin Origins::of(const Value* pointer) const {
  SmallVector<const Value*, 8> objects;
  getUnderlyingObjects(pointer, objects, nullptr, 0);
  Origin common;
  bool is_first = true;
  for (const Value* object : objects) {
    if (isa<ConstantPointerNull>(object) || isa<UndefValue>(object)) {
      continue; // must not be accessed, so it is another one if this is
    }
    const Origin origin = of_object(object);
    if (!is_first && !is_same(common, origin)) {
      // Different variables of a thread, or different constants, are the same here; so are unnamed threadgroup
      // variables.
      const bool is_threadgroup = common.space == Space::threadgroup && origin.space == Space::threadgroup;
      return in_space(is_threadgroup ? Space::threadgroup : Space::unknown);
    }
    common = origin;
    is_first = false;
  }
  return common;
}

Origin Origins::of_object(const Value* object) const {
  if (isa<AllocaInst>(object)) {
    return in_space(Space::thread);
  }
  if (const auto* variable = dyn_cast<GlobalVariable>(object)) {
    return in_space(variable->isConstant() ? Space::constant : Space::unknown);
  }
  if (const auto* argument = dyn_cast<Argument>(object)) {
    return in_space(is_thunk(*argument->getParent()) ? Space::runtime : Space::unknown);
  }
  if (const auto* call = dyn_cast<CallBase>(object)) {
    return of_call(*call);
  }
  if (const auto* load = dyn_cast<LoadInst>(object)) {
    return of_loaded_pointer(*load);
  }
  return in_space(Space::unknown);
}

Origin Origins::of_call(const CallBase& call) const {
  const Function* function = call.getCalledFunction();
  const StringRef name = function ? function->getName() : "";
  if (name == "metalsim_buffer") {
    Origin origin;
    if (const auto* index = dyn_cast<ConstantInt>(call.getArgOperand(1))) {
      origin.space = Space::buffer;
      origin.buffer = static_cast<int32_t>(index->getZExtValue());
    }
    return origin;
  }
  if (name == "metalsim_threadgroup_variable") {
    Origin origin = in_space(Space::threadgroup);
    origin.variable = dyn_cast<Constant>(call.getArgOperand(3));
    return origin;
  }
  return in_space(name == "metalsim_position" ? Space::runtime : Space::unknown);
}

/// Pointers in the Context.
Origin Origins::of_loaded_pointer(const LoadInst& load) const {
  APInt offset(64, 0);
  const Value* base = load.getPointerOperand()->stripAndAccumulateConstantOffsets(layout_, offset, true);
  const auto* argument = dyn_cast<Argument>(base);
  if (!argument || !is_thunk(*argument->getParent())) {
    return in_space(Space::unknown);
  }
  const uint64_t byte = offset.getZExtValue();
  const uint64_t threadgroup_memory = offsetof(abi::Context, threadgroup_memory);
  if (byte >= threadgroup_memory && byte < offsetof(abi::Context, position)) {
    return in_space(Space::threadgroup);
  }
  if (byte >= offsetof(abi::Context, position)) {
    return in_space(Space::runtime);
  }
  Origin origin = in_space(Space::buffer);
  origin.buffer = static_cast<int32_t>(byte / sizeof(void*));
  return origin;
}

} // namespace metalsim::instrument
