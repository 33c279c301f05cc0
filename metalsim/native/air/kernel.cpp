// Exports an AIR kernel as every kernel is exported (abi.h): a thunk that gets the arguments of one thread from a
// Context, and `metalsim_kernel`, which describes the kernel.
//
// AIR says all about the parameters in metadata:
//   !air.kernel = !{!1}    !1 = !{ptr @function, !outputs, !parameters, !{!"air.max_work_group_size", i32 128}}
//   !parameters = !{!{i32 0, !"air.buffer", !"air.location_index", i32 4, i32 1, !"air.read", ..., !"air.arg_name",
//   !"Q"},
//                   !{i32 7, !"air.thread_index_in_simdgroup", !"air.arg_type_name", !"uint", ...}, ...}

#include "lowering.h"

#include "../abi.h"

#include "llvm/IR/IRBuilder.h"

#include <cstddef>
#include <optional>
#include <vector>

using namespace llvm;
using metalsim::abi::ArgumentKind;
using metalsim::abi::Position;

namespace {

/// Where a parameter that says where a thread is comes from.
struct PositionSource {
  const char* attribute; ///< after "air."
  ArgumentKind kind;
  size_t offset;    ///< in Position
  uint32_t divisor; ///< quadgroups are counted in threads
};

constexpr uint32_t kQuadgroup = 4;

// NOLINTNEXTLINE(cppcoreguidelines-macro-usage): one name, three spellings
#define METALSIM_POSITION(name, field) {#name, ArgumentKind::name, offsetof(Position, field), 1}

const PositionSource kPositions[] = {
    METALSIM_POSITION(thread_position_in_grid, thread_in_grid),
    METALSIM_POSITION(threadgroup_position_in_grid, threadgroup_in_grid),
    METALSIM_POSITION(thread_position_in_threadgroup, thread_in_threadgroup),
    METALSIM_POSITION(threads_per_grid, threads_per_grid),
    METALSIM_POSITION(threadgroups_per_grid, threadgroups_per_grid),
    METALSIM_POSITION(threads_per_threadgroup, threads_per_threadgroup),
    METALSIM_POSITION(dispatch_threads_per_threadgroup, dispatch_threads_per_threadgroup),
    METALSIM_POSITION(thread_index_in_threadgroup, thread_index_in_threadgroup),
    METALSIM_POSITION(thread_index_in_simdgroup, thread_index_in_simdgroup),
    METALSIM_POSITION(simdgroup_index_in_threadgroup, simdgroup_index_in_threadgroup),
    METALSIM_POSITION(simdgroups_per_threadgroup, simdgroups_per_threadgroup),
    METALSIM_POSITION(dispatch_simdgroups_per_threadgroup, dispatch_simdgroups_per_threadgroup),
    {"quadgroup_index_in_threadgroup", ArgumentKind::quadgroup_index_in_threadgroup,
     offsetof(Position, thread_index_in_threadgroup), kQuadgroup},
    {"quadgroup_index_in_simdgroup", ArgumentKind::quadgroup_index_in_simdgroup,
     offsetof(Position, thread_index_in_simdgroup), kQuadgroup},
};

#undef METALSIM_POSITION

/// One parameter's metadata.
class Parameter {
public:
  explicit Parameter(const MDNode& node) : node_(node) {}

  bool has(StringRef word) const { return find(word).has_value(); }

  /// The number after a word.
  std::optional<uint32_t> number(StringRef word) const {
    std::optional<unsigned> place = find(word);
    if (!place || *place + 1 >= node_.getNumOperands()) {
      return std::nullopt;
    }
    auto* value = mdconst::dyn_extract<ConstantInt>(node_.getOperand(*place + 1));
    return value == nullptr ? std::nullopt : std::optional<uint32_t>(value->getZExtValue());
  }

  /// The node after a word, or null.
  const MDNode* node(StringRef word) const {
    std::optional<unsigned> place = find(word);
    return place ? dyn_cast<MDNode>(node_.getOperand(*place + 1)) : nullptr;
  }

  /// The word after a word, or "".
  StringRef text(StringRef word) const {
    std::optional<unsigned> place = find(word);
    if (!place || *place + 1 >= node_.getNumOperands()) {
      return "";
    }
    auto* value = dyn_cast<MDString>(node_.getOperand(*place + 1));
    return value == nullptr ? "" : value->getString();
  }

  const PositionSource* position() const {
    for (const PositionSource& source : kPositions) {
      if (has((Twine("air.") + source.attribute).str())) {
        return &source;
      }
    }
    return nullptr;
  }

private:
  std::optional<unsigned> find(StringRef word) const {
    for (unsigned i = 0; i < node_.getNumOperands(); i++) {
      auto* string = dyn_cast<MDString>(node_.getOperand(i));
      if (string != nullptr && string->getString() == word) {
        return i;
      }
    }
    return std::nullopt;
  }

  const MDNode& node_;
};

/// The kernel of a module, from its metadata.
struct KernelMetadata {
  Function* function;
  std::vector<Parameter> parameters;
  uint32_t max_threads = metalsim::abi::kMaxThreads;
};

KernelMetadata read_metadata(Module& module) {
  NamedMDNode* kernels = module.getNamedMetadata("air.kernel");
  if (kernels == nullptr || kernels->getNumOperands() != 1) {
    metalsim::air::refuse("the module does not hold exactly one kernel; only compute kernels can be run");
  }
  MDNode* node = kernels->getOperand(0);
  KernelMetadata kernel;
  kernel.function = mdconst::extract<Function>(node->getOperand(0));
  for (const MDOperand& operand : cast<MDNode>(node->getOperand(2))->operands()) {
    kernel.parameters.emplace_back(*cast<MDNode>(operand));
  }
  for (const MDOperand& operand : drop_begin(node->operands(), 3)) {
    if (auto* properties = dyn_cast<MDNode>(operand)) {
      kernel.max_threads = Parameter(*properties).number("air.max_work_group_size").value_or(kernel.max_threads);
    }
  }
  if (kernel.parameters.size() != kernel.function->arg_size()) {
    metalsim::air::refuse("the metadata of '" + kernel.function->getName() + "' does not describe all its parameters");
  }
  return kernel;
}

/// Builds the thunk and the description of a kernel.
class Exporter {
public:
  Exporter(Module& module, KernelMetadata kernel)
      : module_(module), builder_(module.getContext()), kernel_(std::move(kernel)) {}

  void run() {
    Type* pointer = builder_.getPtrTy();
    thunk_ = Function::Create(FunctionType::get(builder_.getVoidTy(), {pointer}, false), GlobalValue::InternalLinkage,
                              "run", module_);
    builder_.SetInsertPoint(BasicBlock::Create(module_.getContext(), "entry", thunk_));
    SmallVector<Value*> values;
    for (unsigned i = 0; i < kernel_.parameters.size(); i++) {
      // References to buffers that are turned off and not bound must not be read ahead of the check.
      kernel_.function->removeParamAttr(i, Attribute::Dereferenceable);
      values.push_back(parameter_value(kernel_.parameters[i], kernel_.function->getArg(i)->getType()));
    }
    builder_.CreateCall(kernel_.function->getFunctionType(), kernel_.function, values);
    builder_.CreateRetVoid();
    std::string name = kernel_.function->getName().str();
    kernel_.function->setLinkage(GlobalValue::InternalLinkage);
    kernel_.function->setName("air_kernel");
    kernel_.function->addFnAttr(Attribute::AlwaysInline);
    export_symbol(name);
  }

private:
  Value* parameter_value(const Parameter& parameter, Type* type) {
    std::optional<uint32_t> index = parameter.number("air.location_index");
    if (parameter.has("air.buffer") && index) {
      bool is_threadgroup = type->getPointerAddressSpace() == metalsim::air::kThreadgroupSpace;
      Value* address = is_threadgroup ? threadgroup_memory(*index) : buffer(*index);
      ArgumentKind kind = is_threadgroup ? ArgumentKind::threadgroup_memory : ArgumentKind::buffer;
      describe(parameter, kind, *index);
      return builder_.CreateAddrSpaceCast(address, type);
    }
    if (const PositionSource* source = parameter.position()) {
      describe(parameter, source->kind, 0);
      return position(*source, type);
    }
    if (parameter.has("air.threads_per_simdgroup")) {
      describe(parameter, ArgumentKind::threads_per_simdgroup, 0);
      return ConstantInt::get(type, metalsim::abi::kSimdWidth);
    }
    metalsim::air::refuse("parameter '" + parameter.text("air.arg_name") + "' of '" + kernel_.function->getName() +
                          "' is neither a buffer nor a position of a thread: such parameters are not implemented");
  }

  Value* buffer(uint32_t index) {
    Type* pointer = builder_.getPtrTy();
    auto* type = FunctionType::get(pointer, {pointer, builder_.getInt32Ty()}, false);
    FunctionCallee callee = module_.getOrInsertFunction("metalsim_buffer", type);
    auto* function = cast<Function>(callee.getCallee());
    function->setDoesNotAccessMemory();
    function->setDoesNotThrow();
    function->addFnAttr(Attribute::WillReturn);
    return builder_.CreateCall(callee, {thunk_->getArg(0), builder_.getInt32(index)});
  }

  Value* field(Value* base, size_t offset, Type* type) {
    return builder_.CreateLoad(type, builder_.CreateConstGEP1_64(builder_.getInt8Ty(), base, offset));
  }

  Value* threadgroup_memory(uint32_t index) {
    size_t offset = offsetof(metalsim::abi::Context, threadgroup_memory) + index * sizeof(void*);
    return field(thunk_->getArg(0), offset, builder_.getPtrTy());
  }

  Value* position(const PositionSource& source, Type* type) {
    Value* base = field(thunk_->getArg(0), offsetof(metalsim::abi::Context, position), builder_.getPtrTy());
    auto component = [&](unsigned i, Type* scalar) {
      Value* value = field(base, source.offset + i * sizeof(uint32_t), builder_.getInt32Ty());
      value = builder_.CreateUDiv(value, builder_.getInt32(source.divisor));
      return builder_.CreateZExtOrTrunc(value, scalar);
    };
    auto* vector = dyn_cast<FixedVectorType>(type);
    if (vector == nullptr) {
      return component(0, type);
    }
    Value* result = PoisonValue::get(type);
    for (unsigned i = 0; i < vector->getNumElements(); i++) {
      result = builder_.CreateInsertElement(result, component(i, vector->getElementType()), i);
    }
    return result;
  }

  Constant* string(StringRef text) { return cast<Constant>(builder_.CreateGlobalString(text, "name")); }

  /// Appends an abi::Argument.
  void describe(const Parameter& parameter, ArgumentKind kind, uint32_t index) {
    uint32_t size = parameter.number("air.arg_type_size").value_or(0);
    uint32_t alignment = parameter.number("air.arg_type_align_size").value_or(1);
    bool is_reference = parameter.has("air.buffer_size");
    bool is_writable = parameter.has("air.read_write") || parameter.has("air.write");
    Constant* fields[] = {builder_.getInt32(static_cast<uint32_t>(kind)),
                          builder_.getInt32(index),
                          builder_.getInt32(size),
                          builder_.getInt32(alignment),
                          builder_.getInt8(is_reference),
                          builder_.getInt8(is_writable),
                          builder_.getInt8(is_enabled(parameter)),
                          string(parameter.text("air.arg_name"))};
    arguments_.push_back(ConstantStruct::getAnon(fields));
  }

  /// Whether the function constant of [[buffer(n), function_constant(name)]] is true. One that is computed of others
  /// counts as true; the buffer is then needed only if the code uses it.
  bool is_enabled(const Parameter& parameter) const {
    const MDNode* predicate = parameter.node("air.function_constant");
    if (predicate == nullptr) {
      return true;
    }
    StringRef name = cast<MDString>(predicate->getOperand(2))->getString();
    for (const metalsim::air::FunctionConstant& constant : metalsim::air::function_constants(module_)) {
      if (constant.name == name) {
        return !constant.variable->getInitializer()->isNullValue();
      }
    }
    return true;
  }

  GlobalVariable* constant(Constant* value, const Twine& name) {
    return new GlobalVariable(module_, value->getType(), /*isConstant=*/true, GlobalValue::InternalLinkage, value,
                              name);
  }

  void export_symbol(StringRef name) {
    Constant* arguments = ConstantPointerNull::get(builder_.getPtrTy());
    if (!arguments_.empty()) {
      auto* type = ArrayType::get(arguments_.front()->getType(), arguments_.size());
      uint64_t element = module_.getDataLayout().getTypeAllocSize(arguments_.front()->getType());
      assert(element == sizeof(metalsim::abi::Argument));
      (void)element;
      arguments = constant(ConstantArray::get(type, arguments_), "arguments");
    }
    Constant* fields[] = {string(name),
                          thunk_,
                          arguments,
                          builder_.getInt32(arguments_.size()),
                          builder_.getInt32(kernel_.max_threads),
                          reflected("metalsim_used_buffers"),
                          reflected("metalsim_threadgroup_bytes")};
    constant(ConstantStruct::getAnon(fields), "metalsim_kernel")->setLinkage(GlobalValue::ExternalLinkage);
  }

  /// A number that the pass `metalsim-reflect` fills in after optimisation.
  GlobalVariable* reflected(const Twine& name) {
    return new GlobalVariable(module_, builder_.getInt32Ty(), /*isConstant=*/false, GlobalValue::ExternalLinkage,
                              builder_.getInt32(0), name);
  }

  Module& module_;
  IRBuilder<> builder_;
  KernelMetadata kernel_;
  Function* thunk_ = nullptr;
  std::vector<Constant*> arguments_;
};

} // namespace

void metalsim::air::export_kernel(Module& module) {
  Exporter(module, read_metadata(module)).run();
}
