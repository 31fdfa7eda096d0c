#pragma once

#include <cmath>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "device/cpu/kernels/isa.hpp"
#include "device/model_runner.hpp"
#include "ir_fixture.hpp"

namespace nibble::test {

/// The CPU device computing in f32 throughout, as the expected values of fixtures do.
inline Properties exact() {
  return {{"INFERENCE_PRECISION_HINT", "f32"}, {"KV_CACHE_PRECISION", "f32"}, {"DYNAMIC_QUANTIZATION_GROUP_SIZE", "0"}};
}

inline std::shared_ptr<const CompiledModel> compile_on_cpu(Graph graph, Context& context, const Properties& properties = {}) {
  return find_device("CPU").compile(std::move(graph), properties, context);
}

/// Forces an instruction set on what is compiled while it lives.
class ForcedIsa {
 public:
  explicit ForcedIsa(cpu::Isa isa) {
    if (const char* set = std::getenv("NIBBLE_CPU_ISA")) before_ = set;
    setenv("NIBBLE_CPU_ISA", std::string(to_string(isa)).c_str(), 1);
  }
  ~ForcedIsa() { before_ ? setenv("NIBBLE_CPU_ISA", before_->c_str(), 1) : unsetenv("NIBBLE_CPU_ISA"); }
  ForcedIsa(const ForcedIsa&) = delete;
  ForcedIsa& operator=(const ForcedIsa&) = delete;

 private:
  std::optional<std::string> before_;
};

/// Row `index` of logits [rows, vocab].
inline std::vector<float> logits_row(const Tensor& logits, size_t index) {
  auto vocab = static_cast<size_t>(logits.shape().back());
  auto values = logits.as<float>().subspan(index * vocab, vocab);
  return {values.begin(), values.end()};
}

/// KL(p || q) of the distributions that two rows of logits stand for, in nats.
inline double divergence(const std::vector<float>& p, const std::vector<float>& q) {
  auto log_sum = [](const std::vector<float>& logits) {
    double highest = *std::max_element(logits.begin(), logits.end()), sum = 0;
    for (float v : logits) sum += std::exp(v - highest);
    return highest + std::log(sum);
  };
  double of_p = log_sum(p), of_q = log_sum(q), kl = 0;
  for (size_t i = 0; i < p.size(); ++i) kl += std::exp(p[i] - of_p) * ((p[i] - of_p) - (q[i] - of_q));
  return kl;
}

/// Mean divergence over all rows of logits [..., vocab].
inline double mean_divergence(const Tensor& p, const Tensor& q) {
  size_t rows = p.size() / static_cast<size_t>(p.shape().back());
  double sum = 0;
  for (size_t i = 0; i < rows; ++i) sum += divergence(logits_row(p, i), logits_row(q, i));
  return sum / static_cast<double>(rows);
}

}  // namespace nibble::test
