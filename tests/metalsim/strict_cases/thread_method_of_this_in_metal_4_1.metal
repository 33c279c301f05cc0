// rule: metal-generic-this
// at: 10
// language: 4.1
#include <metal_stdlib>
using namespace metal;

struct Counter {
  uint count;
  void step() thread { count += 1; }
  void twice() { step(), step(); }
};

kernel void f(device uint* data [[buffer(0)]]) {
  Counter counter = {data[0]};
  counter.twice();
  data[0] = counter.count;
}
