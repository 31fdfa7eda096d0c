#include <cmath>
#include <cstring>

#include "device/cpu/kernels/attention.hpp"
#include "tensor/float_types.hpp"

namespace nibble::cpu {

namespace {

constexpr float kLowest = -3.402823466e+38f;

float round_to_bf16(float x) { return to_float(to_bfloat16(x)); }

float score_bits(const AttentionTask& task, size_t token, size_t head, size_t key_position, const float* key) {
  const float* query = task.queries + token * task.query_stride + head * task.layout->key_dim;
  float factor = task.scale * kLog2E, cap = task.softcap * kLog2E, sum = 0;
  for (size_t d = 0; d < task.layout->key_dim; ++d) sum = __builtin_fmaf(query[d] * factor, key[d], sum);
  if (cap != 0) sum = cap * tanhf(sum / cap);
  return task.slopes ? sum + alibi_bias(task.slopes[head], task.slope_unit, task.position + token, key_position) * kLog2E : sum;
}

/// One more value of a row's weighted sum; what is there is scaled down where the maximum rises.
void add_value(const AttentionTask& task, size_t row, float bits, const float* value) {
  float* values = task.values + row * task.layout->value_lanes;
  if (bits > task.maxima[row]) {
    float shrink = exp2f(task.maxima[row] - bits);
    task.maxima[row] = bits;
    task.sums[row] *= shrink;
    for (size_t d = 0; d < task.layout->value_dim; ++d) values[d] *= shrink;
  }
  float weight = exp2f(bits - task.maxima[row]);
  task.sums[row] += weight;
  for (size_t d = 0; d < task.layout->value_dim; ++d) values[d] = __builtin_fmaf(weight, value[d], values[d]);
}

bool sees(const AttentionTask& task, size_t token, size_t key_position) {
  size_t position = task.position + token;
  return key_position <= position && (task.window == 0 || position - key_position < task.window);
}

}  // namespace

float alibi_bias(float slope, float slope_unit, size_t query, size_t key) {
  auto place = static_cast<float>(key);
  if (slope_unit != 0) return slope_unit * round_to_bf16(slope * round_to_bf16(place));
  return slope * (place - static_cast<float>(query));
}

void attend_scalar(const AttentionTask& task) {
  size_t rows = task.tokens * task.heads;
  for (size_t row = 0; row < rows; ++row) task.maxima[row] = kLowest, task.sums[row] = 0;
  memset(task.values, 0, rows * task.layout->value_lanes * sizeof(float));
  auto* key = reinterpret_cast<float*>(task.scratch);
  float* value = key + task.layout->key_dim;
  for (size_t position = task.key_begin; position < task.key_end; ++position) {
    kv_read_key(*task.layout, task.blocks[position / kKvBlock], position % kKvBlock, key);
    kv_read_value(*task.layout, task.blocks[position / kKvBlock], position % kKvBlock, value);
    for (size_t row = 0; row < rows; ++row) {
      size_t token = row / task.heads, head = row % task.heads;
      if (sees(task, token, position)) add_value(task, row, score_bits(task, token, head, position, key), value);
    }
  }
}

}  // namespace nibble::cpu
