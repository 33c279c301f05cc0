// rule: metal-method-address-space
// at: 9
#include <metal_stdlib>
using namespace metal;

struct Counter {
  uint count;
  uint next() const { return count + 1; }
  void step() device { count = next(); }
};

kernel void f(device Counter* counters [[buffer(0)]], uint index [[thread_position_in_grid]]) {
  counters[index].step();
}
