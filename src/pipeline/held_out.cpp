#include "pipeline/held_out.hpp"

#include <algorithm>

#include "base/fail.hpp"
#include "base/usable_memory.hpp"
#include "calibrate/token_distribution.hpp"
#include "compress/layer_copy.hpp"
#include "pipeline/language_model.hpp"

namespace nibble {

namespace {

using Samples = std::vector<std::vector<int64_t>>;

constexpr size_t kMostTokens = 4096;
constexpr size_t kMostBytes = size_t{512} << 20;  // of log-probabilities

/// With which every device computes in f32: what is measured is what the weights do.
const Properties& exact() {
  static const Properties properties{
      {"INFERENCE_PRECISION_HINT", "f32"}, {"KV_CACHE_PRECISION", "f32"}, {"DYNAMIC_QUANTIZATION_GROUP_SIZE", "0"}};
  return properties;
}

/// An order whose every beginning is spread over the whole: by the fractional parts of multiples of the golden ratio.
Samples spread(Samples samples) {
  constexpr uint64_t kGolden = 0x9E3779B97F4A7C15;
  std::vector<std::pair<uint64_t, size_t>> order;
  for (size_t i = 0; i < samples.size(); ++i) order.emplace_back((i + 1) * kGolden, i);
  std::sort(order.begin(), order.end());
  Samples result;
  for (const auto& [key, i] : order) result.push_back(std::move(samples[i]));
  return result;
}

void require_memory(const Graph& graph) {
  uint64_t needed = constant_bytes(graph), usable = usable_memory();
  if (needed <= usable) return;
  fail(ErrorKind::exhausted, "the source's {:.1f} GB of weights do not fit in the {:.1f} GB of memory that can be had",
       static_cast<double>(needed) / 1e9, static_cast<double>(usable) / 1e9);
}

}  // namespace

SplitSamples split_samples(Samples samples) {
  constexpr size_t kEvery = 4;
  SplitSamples split;
  if (samples.size() == 1) {
    auto& only = samples.front();
    if (only.size() < 2)
      fail(ErrorKind::invalid_argument, "a dataset of one token: precisions are chosen by one part and measured on another");
    auto middle = only.begin() + static_cast<std::ptrdiff_t>(only.size() / 2);
    return {{{only.begin(), middle}}, {{middle, only.end()}}};
  }
  for (size_t i = 0; i < samples.size(); ++i) {
    bool is_held_out = i % kEvery == 1;
    (is_held_out ? split.held_out : split.chosen_by).push_back(std::move(samples[i]));
  }
  split.chosen_by = spread(std::move(split.chosen_by));
  split.held_out = spread(std::move(split.held_out));
  return split;
}

uint64_t constant_bytes(const Graph& graph) {
  uint64_t bytes = 0;
  for (const Node* node : graph.of_type("Constant")) bytes += node->constant().byte_size();
  return bytes;
}

HeldOutMeter::HeldOutMeter(const Graph& source, Samples samples, Context& context) : context_(context) {
  require_memory(source);
  LanguageModel model = make_language_model(copy_graph(source), exact(), context_);
  size_t tokens = 0, bytes = 0;
  for (auto& sample : samples) {
    if (!samples_.empty() && (tokens + sample.size() > kMostTokens || bytes >= kMostBytes)) break;
    expected_.push_back(log_probabilities(model.logits({sample}), context_.threads()));
    tokens += sample.size();
    bytes += expected_.back().byte_size();
    samples_.push_back(std::move(sample));
  }
}

MeasuredDistance HeldOutMeter::measure(const Graph& graph) const {
  LanguageModel model = make_language_model(copy_graph(graph), exact(), context_);
  DistributionDistance sum;
  for (size_t i = 0; i < samples_.size(); ++i) {
    DistributionDistance one = distance(expected_[i], model.logits({samples_[i]}), context_.threads());
    sum.kl_sum += one.kl_sum;
    sum.places += one.places;
    sum.agreed += one.agreed;
  }
  auto places = static_cast<double>(sum.places);
  return {std::max(sum.kl_sum / places, 0.0), static_cast<double>(sum.agreed) / places, sum.places};
}

}  // namespace nibble
