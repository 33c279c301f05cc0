// Function constants: values that Metal fills in when a pipeline is made. AIR describes each in metadata,
//
//   !air.function_constants = !{!{ptr addrspace(2) @variable, !"bool", !"has_mask", i32 300, i1 true}, ...}
//
// and a static constructor of the module copies the variable to where the code reads it. Once the variable has its
// value, `globalopt` evaluates the constructor, and the constant is one that the optimiser sees.

#include "lowering.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/IR/Constants.h"
#include "llvm/Support/Error.h"

using namespace llvm;

namespace {

Constant* constant_value(Type* type, const std::string& text, unsigned index) {
  if (auto* integer = dyn_cast<IntegerType>(type)) {
    StringRef digits = text;
    bool negative = digits.consume_front("-");
    APInt value(integer->getBitWidth(), 0);
    if (!digits.getAsInteger(10, value)) {
      value = value.zextOrTrunc(integer->getBitWidth());
      return ConstantInt::get(integer, negative ? -value : value);
    }
  } else if (type->isFloatingPointTy()) {
    APFloat value(type->getFltSemantics());
    if (!errorToBool(value.convertFromString(text, APFloat::rmNearestTiesToEven).takeError())) {
      return ConstantFP::get(type, value);
    }
  }
  metalsim::air::refuse("function constant " + Twine(index) + " cannot be '" + text +
                        "': it is no scalar number of its type");
}

} // namespace

metalsim::air::FunctionConstant::FunctionConstant(const MDNode& node)
    : variable(mdconst::extract<GlobalVariable>(node.getOperand(0))),
      name(cast<MDString>(node.getOperand(2))->getString()),
      index(mdconst::extract<ConstantInt>(node.getOperand(3))->getZExtValue()) {}

std::vector<metalsim::air::FunctionConstant> metalsim::air::function_constants(const Module& module) {
  std::vector<FunctionConstant> constants;
  if (NamedMDNode* nodes = module.getNamedMetadata("air.function_constants")) {
    for (const MDNode* node : nodes->operands()) {
      constants.emplace_back(*node);
    }
  }
  return constants;
}

void metalsim::air::define_function_constants(Module& module, const Constants& values) {
  for (const FunctionConstant& constant : function_constants(module)) {
    auto given = values.find(constant.index);
    if (given == values.end()) {
      refuse("function constant " + Twine(constant.index) + " ('" + constant.name + "') has no value");
    }
    Type* type = constant.variable->getValueType();
    constant.variable->setExternallyInitialized(false);
    constant.variable->setInitializer(constant_value(type, given->second, constant.index));
  }
}
