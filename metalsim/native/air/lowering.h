// The steps that turn a function of Apple's AIR into a library for metalsim's runtime, in the order of their execution.
//
// AIR is ordinary LLVM IR. What makes it foreign is its target, its intrinsics (functions named `air.*`), its address
// spaces (1 device, 2 constant, 3 threadgroup; the x86 back end treats them all alike), and that everything about a
// kernel's parameters stands in metadata. A step that meets something it does not know says so and ends the process.
#pragma once

#include "llvm/ADT/StringRef.h"
#include "llvm/IR/Module.h"

#include <map>
#include <string>
#include <vector>

namespace metalsim::air {

inline constexpr unsigned kDeviceSpace = 1;
inline constexpr unsigned kConstantSpace = 2;
inline constexpr unsigned kThreadgroupSpace = 3;

/// Values of function constants by index, in decimal.
using Constants = std::map<unsigned, std::string>;

/// A function constant that a module declares.
struct FunctionConstant {
  explicit FunctionConstant(const llvm::MDNode& node);

  llvm::GlobalVariable* variable; ///< whose value Metal sets
  llvm::StringRef name;
  unsigned index;
};
std::vector<FunctionConstant> function_constants(const llvm::Module& module);

/// Ends the process with a message for lower.py.
[[noreturn]] void refuse(const llvm::Twine& message);

/// Gives function constants their values, which Metal does when it makes a pipeline.
void define_function_constants(llvm::Module& module, const Constants& values);

/// Takes variables of the threadgroup address space from metalsim_threadgroup_variable.
void lower_threadgroup_variables(llvm::Module& module);

/// Turns the intrinsics of simdgroup_matrix into metalsim_matrix_product, loads and stores.
void lower_matrices(llvm::Module& module);

/// Turns conversions between number types into instructions.
void lower_conversions(llvm::Module& module);

/// Adds the thunk that gets a kernel's arguments from a Context, and the symbol metalsim_kernel.
void export_kernel(llvm::Module& module);

/// Makes vector calls of intrinsics scalar, links those that intrinsics/ implements, and refuses others by name.
void link_intrinsics(llvm::Module& module, llvm::StringRef bitcode_path);

} // namespace metalsim::air
