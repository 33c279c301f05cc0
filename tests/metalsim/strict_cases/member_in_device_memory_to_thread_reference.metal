// rule: metal-address-space-conversion
// at: 12
#include <metal_stdlib>
using namespace metal;

static void increase(thread uint& value) {
  value += 1;
}

struct Counter {
  uint count;
  void step() device { increase(count); }
};

kernel void f(device Counter* counters [[buffer(0)]], uint index [[thread_position_in_grid]]) {
  counters[index].step();
}
