// language: 4.1
#include <metal_stdlib>
using namespace metal;

static float twice(float value) {
  return 2 * value;
}
static void bump(thread float& value) {
  value += 1;
}

struct Inner {
  float value;
  float next() const { return value + 1; }
};

struct Sums {
  float values[4];
  device float* out;
  Inner inner;

  Sums(device float* out) : out(out), inner{0} { clear(); }
  void clear() {
    for (int i = 0; i < 4; ++i) {
      values[i] = 0;
    }
  }
  void add(float x) {
    values[0] += twice(values[1]) + max(values[2], x) + inner.next();
    out[0] = values[0];
    float copy = values[3];
    bump(copy);
    Inner same = inner;
    bump(same.value);
    inner = same;
  }
  thread float& at(int i) thread { return values[i]; }
  void all() thread {
    bump(at(0));
    bump(inner.value);
    add(1);
  }
};

kernel void f(device float* data [[buffer(0)]], device Inner* inners [[buffer(1)]],
              uint index [[thread_position_in_threadgroup]]) {
  threadgroup Inner shared[4];
  shared[index] = inners[index];
  Sums sums(data);
  sums.all();
  bump(sums.values[1]);
  bump(sums.inner.value);
  data[1] = sums.at(2) + inners[index].next() + shared[index].next();
}
