#pragma once

#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <vector>

#include "device/cpu/kernels/kv_block.hpp"

namespace nibble::cpu::kv_tests {

inline constexpr KvPrecision kPrecisions[]{KvPrecision::f32, KvPrecision::f16, KvPrecision::bf16, KvPrecision::u8};
inline constexpr const char* kNames[]{"f32", "f16", "bf16", "u8"};
inline constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

/// Memory of exactly this size, aligned to 64 bytes.
class Bytes {
 public:
  explicit Bytes(size_t count) : data_(static_cast<std::byte*>(::operator new (count, std::align_val_t{64}))) {
    std::memset(data_.get(), 0, count);
  }
  std::byte* data() const { return data_.get(); }

 private:
  struct Delete {
    void operator()(std::byte* p) const { ::operator delete (p, std::align_val_t{64}); }
  };
  std::unique_ptr<std::byte, Delete> data_;
};

inline std::vector<float> random_floats(unsigned seed, size_t count, float size = 1) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, size);
  std::vector<float> x(count);
  for (float& v : x) v = normal(random);
  return x;
}

/// Blocks of one head.
struct Keys {
  Keys(KvPrecision precision, size_t key_dim, size_t value_dim, size_t tokens) : layout(kv_layout(precision, key_dim, value_dim)) {
    for (size_t i = 0; i * kKvBlock < tokens; ++i) {
      memory.emplace_back(layout.bytes);
      blocks.push_back(memory.back().data());
    }
  }
  void write(size_t token, const float* key, const float* value) {
    kv_write(layout, memory[token / kKvBlock].data(), token % kKvBlock, key, value);
  }
  std::vector<float> key(size_t token) const {
    std::vector<float> x(layout.key_dim);
    kv_read_key(layout, blocks[token / kKvBlock], token % kKvBlock, x.data());
    return x;
  }
  std::vector<float> value(size_t token) const {
    std::vector<float> x(layout.value_dim);
    kv_read_value(layout, blocks[token / kKvBlock], token % kKvBlock, x.data());
    return x;
  }
  KvLayout layout;
  std::vector<Bytes> memory;
  std::vector<const std::byte*> blocks;
};

inline Keys random_keys(KvPrecision precision, size_t key_dim, size_t value_dim, size_t tokens, float size = 1) {
  Keys keys(precision, key_dim, value_dim, tokens);
  auto k = random_floats(1, tokens * key_dim, size), v = random_floats(2, tokens * value_dim);
  for (size_t t = 0; t < tokens; ++t) keys.write(t, &k[t * key_dim], &v[t * value_dim]);
  return keys;
}

}  // namespace nibble::cpu::kv_tests
