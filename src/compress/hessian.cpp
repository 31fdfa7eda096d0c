#include "compress/hessian.hpp"

#include <algorithm>
#include <cmath>

#include "base/fail.hpp"
#include "compress/matrix_product.hpp"

namespace nibble {

namespace {

constexpr size_t kTokensAtOnce = 512;  // fewer make the product wait for the Hessian's memory

/// Collects tokens and adds their products when there are many.
class TokenBuffer {
 public:
  TokenBuffer(std::vector<float>& hessian, size_t columns, ThreadPool& threads) : hessian_(hessian), columns_(columns), threads_(threads) {
    tokens_.reserve(kTokensAtOnce * columns);
  }

  void add(std::span<const float> tokens) {
    while (!tokens.empty()) {
      size_t count = std::min(tokens.size(), kTokensAtOnce * columns_ - tokens_.size());
      tokens_.insert(tokens_.end(), tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(count));
      tokens = tokens.subspan(count);
      if (tokens_.size() == kTokensAtOnce * columns_) flush();
    }
  }

  void flush() {
    if (tokens_.empty()) return;
    MatrixView x{tokens_.data(), tokens_.size() / columns_, columns_, columns_};
    multiply_add(x.transposed(), x, 1, hessian_.data(), columns_, threads_, {.upper_only = true});
    tokens_.clear();
  }

 private:
  std::vector<float>& hessian_;
  size_t columns_;
  ThreadPool& threads_;
  std::vector<float> tokens_;
};

std::span<const float> sample_tokens(const Tensor& sample, size_t columns, bool stacked, size_t matrix, const std::string& layer) {
  const Shape& shape = sample.shape();
  if (sample.type() != ElementType::f32 || shape.size() < 2 || static_cast<size_t>(shape.back()) != columns)
    fail(ErrorKind::corrupt, "a calibration sample gives layer '{}' an input of {} {}: it takes f32 tokens of {} columns", layer,
         to_string(sample.type()), to_string(shape), columns);
  if (!stacked || shape.size() != 3 || sample.size() == 0) return sample.as<float>();
  size_t size = sample.size() / static_cast<size_t>(shape[0]);
  return sample.as<float>().subspan(std::min(matrix, static_cast<size_t>(shape[0]) - 1) * size, size);
}

}  // namespace

std::vector<float> input_hessian(const LayerInputs& inputs, size_t limit, size_t columns, bool stacked, size_t matrix,
                                 const std::string& layer, ThreadPool& threads) {
  size_t count = std::min(limit, inputs.count()), entries = 0;
  if (count == 0) fail(ErrorKind::invalid_argument, "layer '{}' got no calibration samples", layer);
  std::vector<float> hessian(columns * columns, 0.0f);
  TokenBuffer buffer(hessian, columns, threads);
  for (size_t i = 0; i < count; ++i) {
    Tensor sample = inputs.sample(i);
    buffer.add(sample_tokens(sample, columns, stacked, matrix, layer));
    if (sample.size() == 0) continue;  // an expert that this sample does not reach
    entries += !stacked && sample.shape().size() == 3 ? static_cast<size_t>(sample.shape()[0]) : 1;
  }
  buffer.flush();
  float factor = 2.0f / static_cast<float>(std::max<size_t>(entries, 1));
  for (float& value : hessian) value *= factor;
  for (size_t c = 0; c < columns; ++c)
    if (!std::isfinite(hessian[c * columns + c]))
      fail(ErrorKind::corrupt, "the calibration samples give layer '{}' inputs that are infinite or not a number", layer);
  return hessian;
}

}  // namespace nibble
