#include <fmt/format.h>

#include <limits>

#include "export/blocks.hpp"

namespace nibble {

namespace {

/// Columns [begin, begin + count) of [B,columns,S].
Value part(GraphBuilder& b, Value x, int64_t begin, int64_t count) { return b.slice(x, begin, begin + count, 1); }

/// The state, then the new tokens, convolved: what OpenVINO's paged form of such convolutions replaces. The state is as wide as the
/// kernel, so the first result belongs to a token before these.
Value convolved(GraphBuilder& b, ModelWeights& weights, Value fresh, const std::string& path, int64_t hidden, const ShortConvConfig& config,
                int64_t index, AttentionContext& context) {
  constexpr int64_t kToEnd = std::numeric_limits<int64_t>::max();
  GraphBuilder::Module module(b, path);
  Value all = context.extend_tokens(index, fresh, hidden, config.kernel);
  Value kernel = weights.vector(path + ".weight", Shape{hidden, 1, 1, config.kernel});
  Attributes attributes{{"strides", "1"}, {"pads_begin", "0"}, {"pads_end", "0"}, {"dilations", "1"}, {"auto_pad", "explicit"}};
  Value result = b.op("GroupConvolution", {all, kernel}, std::move(attributes), "aten::_convolution");
  result = b.slice(result, 1, kToEnd, 2);
  return config.has_bias ? b.add(result, weights.vector(path + ".bias", Shape{1, hidden, 1})) : result;
}

}  // namespace

Value short_convolution(GraphBuilder& b, ModelWeights& weights, Value x, const std::string& path, int64_t hidden,
                        const ShortConvConfig& config, int64_t index, AttentionContext& context) {
  GraphBuilder::Module module(b, path);
  Value projected = b.transpose(linear(b, weights, x, path + ".in_proj", hidden, 3 * hidden, config.has_bias), {0, 2, 1});
  Value in = b.multiply(part(b, projected, 0, hidden), part(b, projected, 2 * hidden, hidden));
  Value mixed = convolved(b, weights, b.multiply(in, context.fresh_mask()), path + ".conv", hidden, config, index, context);
  Value out = b.transpose(b.multiply(part(b, projected, hidden, hidden), mixed), {0, 2, 1});
  return linear(b, weights, out, path + ".out_proj", hidden, hidden, config.has_bias);
}

}  // namespace nibble
