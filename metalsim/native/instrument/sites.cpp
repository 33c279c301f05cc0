// Sites: see sites.h.
#include "sites.h"

#include "../instrumentation.h"

#include "llvm/IR/IRBuilder.h"

using namespace llvm;

namespace metalsim::instrument {

namespace {

/// The line of a location; the optimiser gives line 0 to what it made of several lines, which is then its function's.
uint32_t line_of(const DILocation& location) {
  return location.getLine() != 0 ? location.getLine() : location.getScope()->getSubprogram()->getLine();
}

/// The functions that a location is in, innermost first, without those of the shim and without the thunk.
SmallVector<const DILocation*, 8> frames(const Instruction& instruction, const Origins& origins) {
  SmallVector<const DILocation*, 8> result;
  const bool is_in_thunk = origins.is_thunk(*instruction.getFunction());
  const DILocation* location = instruction.getDebugLoc();
  const DILocation* innermost = location;
  while (location) {
    const DILocation* caller = location->getInlinedAt();
    const bool is_thunk = is_in_thunk && !caller;
    if (!is_thunk && !location->getFilename().contains("/shim/")) {
      result.push_back(location);
    }
    location = caller;
  }
  if (result.empty() && innermost) {
    result.push_back(innermost);
  }
  return result;
}

} // namespace

SiteTable::SiteTable(Module& module, const Origins& origins) : module_(module), origins_(origins) {
  LLVMContext& context = module.getContext();
  Type* pointer = PointerType::get(context, 0);
  Type* number = Type::getInt32Ty(context);
  type_ = StructType::get(context, {pointer, pointer, pointer, number, number, number, number, number});
  static_assert(sizeof(instrumentation::Site) == 48 && offsetof(instrumentation::Site, line) == 24 &&
                offsetof(instrumentation::Site, number) == 40);
}

Constant* SiteTable::text(StringRef text) {
  Constant*& known = texts_[text];
  if (!known) {
    known = IRBuilder<>(module_.getContext()).CreateGlobalString(text, "metalsim.text", 0, &module_);
  }
  return known;
}

Constant* SiteTable::add(const Instruction& instruction, const Origin& origin, uint32_t flags) {
  LLVMContext& context = module_.getContext();
  Constant* null = ConstantPointerNull::get(PointerType::get(context, 0));
  const auto number = [&](uint32_t value) { return ConstantInt::get(Type::getInt32Ty(context), value); };
  Constant* file = null;
  Constant* caller_file = null;
  uint32_t line = 0;
  uint32_t caller_line = 0;
  const auto locations = frames(instruction, origins_);
  if (!locations.empty()) {
    file = text(locations.front()->getFilename());
    line = line_of(*locations.front());
  }
  if (locations.size() > 1) {
    caller_file = text(locations.back()->getFilename());
    caller_line = line_of(*locations.back());
  }
  Constant* variable = origin.variable ? origin.variable : null;
  Constant* site =
      ConstantStruct::get(type_, {file, variable, caller_file, number(line), number(caller_line), number(flags),
                                  number(static_cast<uint32_t>(origin.buffer)), number(count_)});
  ++count_;
  auto* global = new GlobalVariable(module_, type_, true, GlobalValue::PrivateLinkage, site, "metalsim.site");
  global->setAlignment(Align(8));
  return global;
}

} // namespace metalsim::instrument
