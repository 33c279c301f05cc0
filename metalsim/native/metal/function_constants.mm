#import "function_constants.h"

#import "objects.h"
#include "validation.h"

#include <cstring>

using namespace metalsim::metal;

namespace {

struct ScalarType {
  MTLDataType type;
  const char* name; ///< in Metal source
  uint32_t size;
  enum class Form { boolean, signed_integer, unsigned_integer, half, bfloat, single } form;
};

constexpr ScalarType kScalarTypes[] = {
    {MTLDataTypeBool, "bool", 1, ScalarType::Form::boolean},
    {MTLDataTypeChar, "char", 1, ScalarType::Form::signed_integer},
    {MTLDataTypeUChar, "uchar", 1, ScalarType::Form::unsigned_integer},
    {MTLDataTypeShort, "short", 2, ScalarType::Form::signed_integer},
    {MTLDataTypeUShort, "ushort", 2, ScalarType::Form::unsigned_integer},
    {MTLDataTypeInt, "int", 4, ScalarType::Form::signed_integer},
    {MTLDataTypeUInt, "uint", 4, ScalarType::Form::unsigned_integer},
    {MTLDataTypeLong, "long", 8, ScalarType::Form::signed_integer},
    {MTLDataTypeULong, "ulong", 8, ScalarType::Form::unsigned_integer},
    {MTLDataTypeHalf, "half", 2, ScalarType::Form::half},
    {MTLDataTypeBFloat, "bfloat", 2, ScalarType::Form::bfloat},
    {MTLDataTypeFloat, "float", 4, ScalarType::Form::single},
};

const ScalarType& scalar_type(const char* call, MTLDataType type) {
  for (const ScalarType& known : kScalarTypes) {
    if (known.type == type) {
      return known;
    }
  }
  refuse(std::string(call) + " got MTLDataType " + text(type) +
         "; metalsim has function constants of scalar types only (bool, char to ulong, half, bfloat, float)");
}

template <class T> T load(const void* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

int64_t load_signed(const void* bytes, uint32_t size) {
  switch (size) {
  case 1:
    return load<int8_t>(bytes);
  case 2:
    return load<int16_t>(bytes);
  case 4:
    return load<int32_t>(bytes);
  default:
    return load<int64_t>(bytes);
  }
}

/// The bits of a ulong above the range of int64_t stay what they are.
int64_t load_unsigned(const void* bytes, uint32_t size) {
  uint64_t value = 0;
  std::memcpy(&value, bytes, size);
  return static_cast<int64_t>(value);
}

float load_bfloat(const void* bytes) {
  const uint32_t bits = uint32_t{load<uint16_t>(bytes)} << 16;
  return load<float>(&bits);
}

ConstantValue constant_value(const ScalarType& type, const void* bytes) {
  using Form = ScalarType::Form;
  ConstantValue value = {"", 0, ConstantValue::Kind::floating, 0, 0};
  switch (type.form) {
  case Form::boolean:
    value.kind = ConstantValue::Kind::boolean;
    value.integer = load<uint8_t>(bytes) != 0;
    break;
  case Form::signed_integer:
    value.kind = ConstantValue::Kind::integer;
    value.integer = load_signed(bytes, type.size);
    break;
  case Form::unsigned_integer:
    value.kind = ConstantValue::Kind::integer;
    value.integer = load_unsigned(bytes, type.size);
    break;
  case Form::half:
    value.floating = static_cast<double>(load<_Float16>(bytes));
    break;
  case Form::bfloat:
    value.floating = load_bfloat(bytes);
    break;
  case Form::single:
    value.floating = load<float>(bytes);
    break;
  }
  return value;
}

MTLDataType data_type(const std::string& name) {
  for (const ScalarType& known : kScalarTypes) {
    if (name == known.name) {
      return known.type;
    }
  }
  return MTLDataTypeNone;
}

} // namespace

@interface MTLFunctionConstantValues () {
@public
  std::vector<ConstantValue> _values;
}
@end

@implementation MTLFunctionConstantValues

/// Replaces what the same name, or, if it is empty, the same index had.
- (void)storeValue:(ConstantValue)value {
  for (ConstantValue& known : _values) {
    if (known.name == value.name && known.index == value.index) {
      known = value;
      return;
    }
  }
  _values.push_back(std::move(value));
}

- (void)setConstantValue:(const void*)bytes type:(MTLDataType)type atIndex:(NSUInteger)index {
  const char* const call = "-[MTLFunctionConstantValues setConstantValue:type:atIndex:]";
  if (bytes == nullptr) {
    refuse(std::string(call) + " got NULL; it must be the address of the value");
  }
  if (index > UINT16_MAX) {
    refuse(std::string(call) + " got index " + text(index) + "; it must be less than 65536");
  }
  ConstantValue value = constant_value(scalar_type(call, type), bytes);
  value.index = static_cast<uint32_t>(index);
  [self storeValue:std::move(value)];
}

- (void)setConstantValue:(const void*)bytes type:(MTLDataType)type withName:(NSString*)name {
  const char* const call = "-[MTLFunctionConstantValues setConstantValue:type:withName:]";
  if (bytes == nullptr) {
    refuse(std::string(call) + " got NULL; it must be the address of the value");
  }
  if ([name length] == 0) {
    refuse(std::string(call) + " got no name; it must be the name of a constant of the library");
  }
  ConstantValue value = constant_value(scalar_type(call, type), bytes);
  value.name = utf8(name);
  [self storeValue:std::move(value)];
}

- (void)setConstantValues:(const void*)bytes type:(MTLDataType)type withRange:(NSRange)range {
  const uint32_t size = scalar_type("-[MTLFunctionConstantValues setConstantValues:type:withRange:]", type).size;
  for (NSUInteger i = 0; i < range.length; ++i) {
    const char* const value = bytes == nullptr ? nullptr : static_cast<const char*>(bytes) + i * size;
    [self setConstantValue:value type:type atIndex:range.location + i];
  }
}

- (void)reset {
  _values.clear();
}

- (id)copyWithZone:(NSZone*)zone {
  MTLFunctionConstantValues* const copy = [[MTLFunctionConstantValues alloc] init];
  copy->_values = _values;
  return copy;
}

@end

@interface MTLFunctionConstant () {
@public
  NSString* _name;
  MTLDataType _type;
  NSUInteger _index;
}
@end

@implementation MTLFunctionConstant

- (void)dealloc {
  [_name release];
  [super dealloc];
}

- (NSString*)name {
  return _name;
}

- (MTLDataType)type {
  return _type;
}

- (NSUInteger)index {
  return _index;
}

- (BOOL)required {
  return YES;
}

@end

namespace metalsim::metal {

std::vector<ConstantValue> constant_values(MTLFunctionConstantValues* values) {
  return values == nil ? std::vector<ConstantValue>() : values->_values;
}

NSDictionary<NSString*, MTLFunctionConstant*>*
function_constants_dictionary(const std::vector<FunctionConstant>& constants) {
  NSMutableDictionary<NSString*, MTLFunctionConstant*>* const dictionary = [NSMutableDictionary dictionary];
  for (const FunctionConstant& constant : constants) {
    MTLFunctionConstant* const described = [[MTLFunctionConstant alloc] init];
    described->_name = [string(constant.name) copy];
    described->_type = data_type(constant.type);
    described->_index = constant.index;
    [dictionary setObject:described forKey:described->_name];
    [described release];
  }
  return dictionary;
}

} // namespace metalsim::metal
