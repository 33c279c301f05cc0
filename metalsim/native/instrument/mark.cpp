// metalsim-mark and metalsim-fill: what is in a thread's variables before they are written.
//
// metalsim-fill stores values that show in results. metalsim-mark makes what a thread never wrote visible to the end of
// the optimiser.
//
// A variable without a value is `undef` to LLVM, which the optimiser turns into whatever is convenient: at its end
// nothing of the mistake is left. So each variable gets, where its life begins, the result of a call that the optimiser
// cannot look into. Variables that are written before they are read lose that store as any dead store; what is left at
// the end can reach a read, and metalsim-instrument finds out on which ways.
//
// Neither builds on clang's -ftrivial-auto-var-init, which leaves out variables with a constructor, even if the
// constructor leaves members without a value, as those of simdgroup_matrix and of most tile classes do.
//
// metalsim-mark has functions inlined wherever possible, as Metal does. Otherwise values would have to be followed
// through calls. Two attributes that the sanitizers of clang use keep the optimiser from moving reads and branches to
// where the source has none, which would be reported although the program is right.
#include "passes.h"

#include "llvm/IR/Constants.h"
#include "llvm/IR/DebugInfoMetadata.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/ValueSymbolTable.h"
#include "llvm/Support/raw_ostream.h"

#include <string>
#include <vector>

using namespace llvm;

namespace metalsim::instrument {

namespace {

/// Variables of more elements than this are marked with one memset.
constexpr size_t kMaxElements = 1024;

/// A scalar or vector in a variable, and where it is.
struct Element {
  Type* type;
  uint64_t offset;
};

/// What thread_elements() gives is as large as Apple's, but a thread has only what is in the first field
/// (shim/library/simdgroup_matrix.h).
bool is_padded_to_a_matrix(const StructType& structure) {
  return structure.hasName() && structure.getName().starts_with("class.metalsim::shim::ThreadElements");
}

/// Padding belongs to no element: copying it is no read.
void add_elements(Type* type, uint64_t offset, const DataLayout& layout, std::vector<Element>& elements) {
  if (elements.size() > kMaxElements) {
    return;
  }
  if (auto* structure = dyn_cast<StructType>(type)) {
    const StructLayout* fields = layout.getStructLayout(structure);
    const unsigned used = is_padded_to_a_matrix(*structure) ? 1 : structure->getNumElements();
    for (unsigned field = 0; field < used; ++field) {
      add_elements(structure->getElementType(field), offset + fields->getElementOffset(field), layout, elements);
    }
  } else if (auto* array = dyn_cast<ArrayType>(type)) {
    const uint64_t stride = layout.getTypeAllocSize(array->getElementType());
    for (uint64_t index = 0; index < array->getNumElements() && elements.size() <= kMaxElements; ++index) {
      add_elements(array->getElementType(), offset + index * stride, layout, elements);
    }
  } else {
    elements.push_back({type, offset});
  }
}

/// The name without the number that LLVM appends where variables of a function have the same name.
StringRef source_name(const AllocaInst& variable) {
  const StringRef name = variable.getName();
  const StringRef without_number = name.rtrim("0123456789");
  const bool has_namesake = variable.getFunction()->getValueSymbolTable()->lookup(without_number) != nullptr;
  return has_namesake ? without_number : name;
}

bool is_initialization_by_clang(const Instruction& instruction) {
  const MDNode* annotations = instruction.getMetadata(LLVMContext::MD_annotation);
  return annotations && any_of(annotations->operands(), [](const MDOperand& operand) {
           const auto* text = dyn_cast<MDString>(operand);
           return text && text->getString() == "auto-init";
         });
}

/// What -ftrivial-auto-var-init adds, if it is given, would come after the marks.
void remove_initialization_by_clang(Function& function) {
  for (BasicBlock& block : function) {
    for (Instruction& instruction : make_early_inc_range(block)) {
      if (is_initialization_by_clang(instruction) && (isa<StoreInst>(instruction) || isa<MemIntrinsic>(instruction))) {
        instruction.eraseFromParent();
      }
    }
  }
}

class Marker {
public:
  /// `is_opaque`: with values that the optimiser knows nothing about.
  Marker(Module& module, bool is_opaque) : module_(module), layout_(module.getDataLayout()), is_opaque_(is_opaque) {}

  void mark(Function& function) {
    remove_initialization_by_clang(function);
    std::vector<AllocaInst*> variables;
    for (Instruction& instruction : function.getEntryBlock()) {
      auto* variable = dyn_cast<AllocaInst>(&instruction);
      if (variable && variable->isStaticAlloca() && variable->getAllocatedType()->isSized()) {
        variables.push_back(variable);
      }
    }
    for (AllocaInst* variable : variables) {
      mark(*variable);
    }
  }

private:
  void mark(AllocaInst& variable) {
    std::vector<Instruction*> births;
    for (User* user : variable.users()) {
      auto* intrinsic = dyn_cast<IntrinsicInst>(user);
      if (intrinsic && intrinsic->getIntrinsicID() == Intrinsic::lifetime_start) {
        births.push_back(intrinsic);
      }
    }
    if (births.empty()) {
      births.push_back(&variable); // without markers of its life, as parameters and results are
    }
    std::vector<Element> elements;
    add_elements(variable.getAllocatedType(), 0, layout_, elements);
    Constant* name = is_opaque_ ? name_of(variable, *births.front()) : nullptr;
    for (Instruction* birth : births) {
      store_marks(variable, elements, name, *birth);
    }
  }

  void store_marks(AllocaInst& variable, const std::vector<Element>& elements, Constant* name, Instruction& birth) {
    IRBuilder<> builder(birth.getNextNode());
    builder.SetCurrentDebugLocation(birth.getDebugLoc());
    DenseMap<Type*, Value*> values;
    if (elements.size() > kMaxElements || variable.isArrayAllocation()) {
      const uint64_t size = variable.getAllocationSize(layout_)->getFixedValue();
      builder.CreateMemSet(&variable, value(builder, builder.getInt8Ty(), name), size, variable.getAlign());
      return;
    }
    for (const Element& element : elements) {
      Value*& uninitialized = values[element.type];
      if (!uninitialized) {
        uninitialized = value(builder, element.type, name);
      }
      Value* address = builder.CreateConstInBoundsGEP1_64(builder.getInt8Ty(), &variable, element.offset);
      const Align alignment = commonAlignment(variable.getAlign(), element.offset);
      builder.CreateAlignedStore(uninitialized, address, alignment);
    }
  }

  Value* value(IRBuilder<>& builder, Type* type, Constant* name) {
    if (!is_opaque_) {
      return visible_value(type);
    }
    std::string function_name = kUninitializedPrefix;
    raw_string_ostream(function_name) << *type;
    FunctionCallee function = module_.getOrInsertFunction(function_name, type, builder.getPtrTy());
    auto* declaration = cast<Function>(function.getCallee());
    declaration->setDoesNotAccessMemory();
    declaration->setDoesNotThrow();
    declaration->setWillReturn();
    return builder.CreateCall(function, {name});
  }

  /// What the report says: "'accumulator' of attention.metal:12".
  Constant* name_of(const AllocaInst& variable, const Instruction& birth) {
    std::string text = variable.hasName() ? "'" + source_name(variable).str() + "'" : "a variable of the thread";
    if (const DILocation* location = birth.getDebugLoc()) {
      text += " of " + location->getFilename().str() + ":" + std::to_string(location->getLine());
    }
    Constant*& name = names_[text];
    if (!name) {
      name = IRBuilder<>(module_.getContext()).CreateGlobalString(text, "metalsim.variable", 0, &module_);
    }
    return name;
  }

  Module& module_;
  const DataLayout& layout_;
  const bool is_opaque_;
  StringMap<Constant*> names_;
};

} // namespace

Constant* visible_value(Type* type) {
  return type->isPtrOrPtrVectorTy() ? Constant::getNullValue(type) : Constant::getAllOnesValue(type);
}

PreservedAnalyses FillPass::run(Module& module, ModuleAnalysisManager&) {
  Marker marker(module, false);
  for (Function& function : module) {
    if (!function.isDeclaration()) {
      marker.mark(function);
    }
  }
  return PreservedAnalyses::none();
}

PreservedAnalyses MarkPass::run(Module& module, ModuleAnalysisManager&) {
  Marker marker(module, true);
  for (Function& function : module) {
    if (function.isDeclaration()) {
      continue;
    }
    marker.mark(function);
    function.addFnAttr(Attribute::SanitizeMemory);
    function.addFnAttr(Attribute::SanitizeThread);
    if (!function.hasFnAttribute(Attribute::NoInline)) {
      function.addFnAttr(Attribute::AlwaysInline);
    }
  }
  return PreservedAnalyses::none();
}

} // namespace metalsim::instrument
