// expect: numerical
// at: none
// reference: {"causal": true}
// dispatch: {"threadgroups": [1], "threads_per_threadgroup": [4, 5], "buffers": {
//   "0": {"dtype": "float32", "shape": [5, 4, 8], "fill": "normal"},
//   "1": {"dtype": "float32", "shape": [9, 2, 8], "fill": "normal"},
//   "2": {"dtype": "float32", "shape": [9, 2, 8], "fill": "normal"},
//   "3": {"dtype": "float32", "shape": [5, 4, 8], "fill": 0},
//   "4": {"struct": "<4if", "values": [5, 9, 4, 2, 0.3535533905932738]}
// }}
// The output is not rescaled when the maximum grows.
#include <metal_stdlib>
using namespace metal;

struct Params {
  int num_queries;
  int num_keys;
  int num_heads;
  int num_kv_heads;
  float scale;
};

constant int head_dim = 8;

// One thread for each query and head; the mask is aligned to the lower right.
kernel void attention(const device float* query [[buffer(0)]], const device float* key [[buffer(1)]],
                      const device float* value [[buffer(2)]], device float* out [[buffer(3)]],
                      constant Params& params [[buffer(4)]], uint2 position [[thread_position_in_grid]]) {
  int head = int(position.x);
  int row = int(position.y);
  int kv_head = head / (params.num_heads / params.num_kv_heads);
  int last_key = row + params.num_keys - params.num_queries;
  const device float* q = query + (row * params.num_heads + head) * head_dim;
  float maximum = -INFINITY;
  float sum = 0.0f;
  float accumulators[head_dim] = {0.0f};
  for (int k = 0; k <= last_key; k++) {
    int kv_row = (k * params.num_kv_heads + kv_head) * head_dim;
    float score = 0.0f;
    for (int d = 0; d < head_dim; d++) {
      score += q[d] * key[kv_row + d];
    }
    score *= params.scale;
    float new_maximum = max(maximum, score);
    float factor = exp(maximum - new_maximum);
    float weight = exp(score - new_maximum);
    sum = sum * factor + weight;
    for (int d = 0; d < head_dim; d++) {
      accumulators[d] = accumulators[d] + weight * value[kv_row + d];
    }
    maximum = new_maximum;
  }
  for (int d = 0; d < head_dim; d++) {
    out[(row * params.num_heads + head) * head_dim + d] = accumulators[d] / sum;
  }
}
