#include "compiler.h"

namespace metalsim::metal {

namespace {

Compiler* the_compiler = nullptr;
OperatorCall (*operator_source)() = nullptr;

} // namespace

Compiler::~Compiler() = default;

Compiler& compiler() {
  if (the_compiler == nullptr) {
    throw std::runtime_error("metalsim has no compiler of Metal source in this process: import metalsim.mps first");
  }
  return *the_compiler;
}

void set_compiler(Compiler* compiler) {
  the_compiler = compiler;
}

OperatorCall current_operator() {
  return operator_source == nullptr ? OperatorCall{} : operator_source();
}

void set_operator_source(OperatorCall (*source)()) {
  operator_source = source;
}

} // namespace metalsim::metal
