#include <metal_stdlib>
using namespace metal;

struct Line {
  float slope;
  float offset;

  Line(float slope, float offset) : slope(slope), offset(offset) {}
  Line() = default;
  float at(float x) const { return slope * x + offset; }
  float at(float x) const constant { return slope * x + offset; }
  float at(float x) const device { return slope * x + offset; }
  explicit operator bool() const thread { return slope != 0; }
  explicit operator bool() const threadgroup { return slope != 0; }
  void shift(float by) device { offset += by; }
  void shift(float by) thread { move(offset, by); }
  static void move(thread float& value, float by) { value += by; }
  static float zero() { return 0; }
};

/// Overloads that differ in more than the address space.
struct Rows {
  float values[4];
  float operator[](uint i) { return values[i]; }
  float operator[](uint i) const device { return values[i]; }
};

/// As vllm-metal's own bfloat: the overload for constant objects is not const, and clang prefers it for the others.
struct Bits {
  ushort bits;
  template <typename T>
  operator T() const thread { return T(bits); }
  template <typename T>
  operator T() const device { return T(bits); }
  template <typename T>
  operator T() constant { return T(bits); }
};

struct Zero {
  float value;
  Zero() thread : value(0) {}
  Zero() threadgroup : value(0) {}
};

template <typename T>
struct Derived : T {
  float twice(float x) const { return 2 * this->at(x); }
};

static float read(Line line) {
  return line.at(1);
}

kernel void f(device float* data [[buffer(0)]], constant Line& line [[buffer(1)]],
              device Bits* bits [[buffer(4)]], device Line* lines [[buffer(2)]],
              device Rows* rows [[buffer(3)]], uint index [[thread_position_in_threadgroup]]) {
  threadgroup Line shared[4];
  threadgroup Zero zeros[4];
  shared[index] = line;                // copies are free
  Line local = lines[index];
  local.shift(1);
  lines[index].shift(2);
  const device Line& same = lines[0];
  Derived<Line> copy;
  copy.slope = line.slope;
  data[0] = line.at(2) + lines[index].at(3) + same.at(4) + local.at(5) + read(line) + read(shared[index]);
  data[1] = (shared[index] ? 1.0f : 2.0f) + (local ? 1.0f : 2.0f) + rows[index][2] + lines->zero() + copy.twice(1) + zeros[index].value;
  Bits own = bits[0];
  data[2] = float(own) + float(bits[1]);
}
