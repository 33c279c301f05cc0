// Functions of ATen/native/mps/OperationUtils.h that kernels of an extension use. Those that build MPSGraphs are
// missing.
#define AT_PER_OPERATOR_HEADERS
#pragma GCC visibility push(default)
#include <ATen/native/mps/OperationUtils.h>
#pragma GCC visibility pop

#include <ATen/ops/scalar_tensor.h>

#include <cstdio>

namespace at::native::mps {

MPSKernelCache* MPSKernelCache::_instance_cache = nullptr;
MPSGraphCache* MPSGraphCache::_instance_cache = nullptr;

void MPSGraphCache::profileCachedGraph(const CacheEntry&) const {}

// ---- types ----------------------------------------------------------------------------------------------------------

std::string scalarToMetalTypeString(const c10::ScalarType& type) {
  switch (type) {
  case ScalarType::Float:
    return "float";
  case ScalarType::Half:
    return "half";
  case ScalarType::BFloat16:
    return "bfloat";
  case ScalarType::Long:
    return "long";
  case ScalarType::Int:
    return "int";
  case ScalarType::Short:
    return "short";
  case ScalarType::Char:
    return "char";
  case ScalarType::Byte:
    return "uchar";
  case ScalarType::Bool:
    return "bool";
  case ScalarType::UInt16:
    return "ushort";
  case ScalarType::UInt32:
    return "uint";
  case ScalarType::UInt64:
    return "ulong";
  case ScalarType::ComplexHalf:
    return "half2";
  case ScalarType::ComplexFloat:
    return "float2";
  default:
    TORCH_CHECK(false, "Undefined type ", type);
  }
}

MPSDataType getMPSDataType(ScalarType type) {
  switch (type) {
  case ScalarType::Float:
    return MPSDataTypeFloat32;
  case ScalarType::Half:
    return MPSDataTypeFloat16;
  case ScalarType::BFloat16:
    return MPSDataTypeBFloat16;
  case ScalarType::Long:
    return MPSDataTypeInt64;
  case ScalarType::Int:
    return MPSDataTypeInt32;
  case ScalarType::Short:
    return MPSDataTypeInt16;
  case ScalarType::Char:
    return MPSDataTypeInt8;
  case ScalarType::Byte:
    return MPSDataTypeUInt8;
  case ScalarType::Bool:
    return MPSDataTypeBool;
  case ScalarType::UInt16:
    return MPSDataTypeUInt16;
  case ScalarType::UInt32:
    return MPSDataTypeUInt32;
  case ScalarType::UInt64:
    return MPSDataTypeUInt64;
  case ScalarType::ComplexHalf:
    return MPSDataTypeComplexFloat16;
  case ScalarType::ComplexFloat:
    return MPSDataTypeComplexFloat32;
  default:
    TORCH_CHECK_TYPE(false, "Trying to convert ", type,
                     " to the MPS backend but it does not have support for that dtype.");
  }
}

MPSDataType getMPSScalarType(ScalarType type) {
  // A double is a number of Python, which becomes Metal's float.
  return getMPSDataType(type == ScalarType::Double ? ScalarType::Float : type);
}

std::string getMPSTypeString(ScalarType type, bool short_name) {
  if (type == ScalarType::Double || type == ScalarType::Float) {
    return short_name ? "f32" : "Float32";
  }
  const std::string name = c10::toString(type);
  return short_name ? scalarToMetalTypeString(type) : name;
}

MPSScalar getMPSScalar(const Scalar& scalar, ScalarType type) {
  MPSScalar made;
  made.type = type == ScalarType::Double ? ScalarType::Float : type;
  made.size = c10::elementSize(made.type);
  switch (made.type) {
  case ScalarType::Float:
    made.value.f = scalar.to<float>();
    break;
  case ScalarType::Half:
    made.value.h = scalar.to<Half>();
    break;
  case ScalarType::BFloat16:
    made.value.bf16 = scalar.to<BFloat16>();
    break;
  case ScalarType::Long:
  case ScalarType::Int:
  case ScalarType::Short:
  case ScalarType::Char:
    // Little-endian: the first bytes are those of the narrower type.
    made.value.i = scalar.to<int64_t>();
    break;
  case ScalarType::Byte:
  case ScalarType::UInt16:
  case ScalarType::UInt32:
  case ScalarType::UInt64:
    made.value.u = scalar.to<uint64_t>();
    break;
  case ScalarType::Bool:
    made.value.b = scalar.to<bool>();
    break;
  case ScalarType::ComplexFloat:
    made.value.cf = scalar.to<c10::complex<float>>();
    break;
  case ScalarType::ComplexHalf:
    made.value.ch = scalar.to<c10::complex<Half>>();
    break;
  default:
    TORCH_CHECK_TYPE(false, "getMPSScalar: Metal has no scalars of the type ", type);
  }
  return made;
}

// ---- tensors --------------------------------------------------------------------------------------------------------

size_t compute_storage_numel_distance(const TensorBase& tensor) {
  if (tensor.numel() == 0) {
    return 0;
  }
  size_t last = 0;
  for (int64_t axis = 0; axis < tensor.dim(); axis++) {
    last += static_cast<size_t>((tensor.size(axis) - 1) * tensor.stride(axis));
  }
  return last + 1;
}

Tensor gatherViewTensor(const Tensor& source, Tensor& destination) {
  if (destination.has_storage()) {
    destination.copy_(source);
    return destination;
  }
  return source.contiguous();
}

Tensor& scatterViewTensor(const Tensor& source, Tensor& output) {
  output.copy_(source);
  return output;
}

void resize_tensor(Tensor* output) {
  output->resize_(output->sizes());
}

Tensor wrapped_scalar_tensor_mps(const Scalar& scalar, const Device device) {
  const ScalarType type = scalar.isFloatingPoint() ? kFloat : scalar.isComplex() ? kComplexFloat : scalar.type();
  Tensor tensor = at::scalar_tensor(scalar, at::device(device).dtype(type));
  tensor.unsafeGetTensorImpl()->set_wrapped_number(true);
  return tensor;
}

bool isTooLargeForMPSGraph(const Tensor& tensor, bool) {
  return tensor.numel() > std::numeric_limits<int32_t>::max();
}

// ---- keys of caches -------------------------------------------------------------------------------------------------

std::string to_hex_key(float value) {
  char text[32];
  std::snprintf(text, sizeof text, "%a", static_cast<double>(value));
  return text;
}

std::string getArrayRefString(const IntArrayRef values) {
  std::string text;
  for (const int64_t value : values) {
    text += (text.empty() ? "" : ",") + std::to_string(value);
  }
  return text;
}

std::string getTensorsStringKey(const TensorList& tensors, bool short_type, bool excludes_shape) {
  std::string key;
  for (const Tensor& tensor : tensors) {
    key += ":";
    if (!tensor.defined()) {
      key += "Undefined";
      continue;
    }
    const std::string shape = tensor.dim() == 0 ? "Scalar" : excludes_shape ? "-1" : getArrayRefString(tensor.sizes());
    key += getMPSTypeString(tensor.scalar_type(), short_type) + "[" + shape + "]";
  }
  return key;
}

std::string get_mem_format_string(c10::MemoryFormat format) {
  switch (format) {
  case MemoryFormat::Contiguous:
    return "Contiguous";
  case MemoryFormat::ChannelsLast:
    return "ChannelsLast";
  default:
    TORCH_CHECK(false, "Invalid memory format", format);
  }
}

} // namespace at::native::mps
