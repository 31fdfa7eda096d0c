#include "checkpoint/gguf/gguf_rope.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/fail.hpp"

namespace nibble {

namespace {

using nlohmann::json;

/// Factors that divide frequencies, and those frequencies' wavelengths.
struct Factors {
  std::vector<float> values;
  std::vector<double> wavelengths;
};

Factors factors_of(std::vector<float> values, double theta) {
  Factors factors{std::move(values), {}};
  auto count = static_cast<double>(factors.values.size());
  for (size_t i = 0; i < factors.values.size(); ++i)
    factors.wavelengths.push_back(2 * std::numbers::pi * std::pow(theta, static_cast<double>(i) / count));
  return factors;
}

/// Llama 3's scaling: short wavelengths stay, long ones grow by `factor`, with a ramp over 1 / wavelength in between.
struct Llama3Scaling {
  double factor = 1, low = 1, high = 4, context = 8192;

  double at(double wavelength) const {
    if (wavelength < context / high) return 1;
    if (wavelength > context / low) return factor;
    double smooth = (context / wavelength - low) / (high - low);
    return 1 / ((1 - smooth) / factor + smooth);
  }
  bool explains(const Factors& factors) const {
    for (size_t i = 0; i < factors.values.size(); ++i)
      if (std::abs(at(factors.wavelengths[i]) / static_cast<double>(factors.values[i]) - 1) > 1e-5) return false;
    return true;
  }
  json config() const {
    return {{"rope_type", "llama3"},
            {"factor", factor},
            {"low_freq_factor", low},
            {"high_freq_factor", high},
            {"original_max_position_embeddings", static_cast<int64_t>(context)}};
  }
};

/// The scaling from two factors on the ramp, where 1 / factor is linear in 1 / wavelength. Of low, high and context only the ratios
/// matter: low is 1, as in all published models.
std::optional<Llama3Scaling> from_ramp(const Factors& factors, double factor) {
  std::vector<size_t> ramp;
  for (size_t i = 0; i < factors.values.size(); ++i)
    if (factors.values[i] > 1.0001f && static_cast<double>(factors.values[i]) < factor * 0.9999) ramp.push_back(i);
  if (ramp.size() < 2) return std::nullopt;
  auto smooth = [&](size_t i) { return (1 / static_cast<double>(factors.values[i]) - 1 / factor) / (1 - 1 / factor); };
  size_t a = ramp.front(), b = ramp.back();
  double slope = (smooth(a) - smooth(b)) / (1 / factors.wavelengths[a] - 1 / factors.wavelengths[b]);
  double start = smooth(a) - slope / factors.wavelengths[a];
  if (start >= 0 || slope <= 0) return std::nullopt;
  double high = std::round((1 - 1 / start) * 1000) / 1000;
  return Llama3Scaling{factor, 1, high, std::round(slope * (high - 1))};
}

/// As llama3 where that gives these factors, otherwise as what takes any: longrope with the same for short and long texts.
json scaling_by_factors(const Factors& factors) {
  double factor = static_cast<double>(*std::max_element(factors.values.begin(), factors.values.end()));
  std::vector<Llama3Scaling> candidates;
  if (auto found = from_ramp(factors, factor)) candidates.push_back(*found);
  for (double context = 8192; context <= 1 << 20; context *= 2) candidates.push_back({.factor = factor, .context = context});
  for (double context = 4096; context >= 16; context /= 2) candidates.push_back({.factor = factor, .context = context});
  for (const Llama3Scaling& candidate : candidates)
    if (candidate.context >= 1 && candidate.high > candidate.low && candidate.explains(factors)) return candidate.config();
  return {{"rope_type", "longrope"}, {"short_factor", factors.values}, {"long_factor", factors.values}, {"attention_factor", 1.0}};
}

json longrope(GgufHyperparameters& parameters, const std::vector<float>& longer, const std::vector<float>& shorter, json& config) {
  int64_t positions = config.at("max_position_embeddings");
  int64_t original = parameters.size("rope.scaling.original_context_length", positions);
  config["original_max_position_embeddings"] = original;
  json scaling{{"type", "longrope"}, {"long_factor", longer}, {"short_factor", shorter}};
  double ratio = static_cast<double>(positions) / static_cast<double>(std::max<int64_t>(original, 2));
  double usual = ratio <= 1 ? 1 : std::sqrt(1 + std::log(ratio) / std::log(static_cast<double>(original)));
  double stored = parameters.number("rope.scaling.attn_factor", usual);
  if (std::abs(stored - usual) > 1e-4) scaling["attention_factor"] = stored;
  return scaling;
}

json yarn(GgufHyperparameters& parameters) {
  json scaling{{"rope_type", "yarn"},
               {"factor", parameters.number("rope.scaling.factor", 1)},
               {"original_max_position_embeddings", parameters.size("rope.scaling.original_context_length")}};
  if (auto fast = parameters.number("rope.scaling.yarn_beta_fast")) scaling["beta_fast"] = *fast;
  if (auto slow = parameters.number("rope.scaling.yarn_beta_slow")) scaling["beta_slow"] = *slow;
  if (auto attention = parameters.number("rope.scaling.yarn_attn_factor")) scaling["attention_factor"] = *attention;
  if (parameters.number("rope.scaling.yarn_ext_factor", 1) != 1) parameters.refuse("rope.scaling.yarn_ext_factor");
  return scaling;
}

json scaling_by_type(GgufHyperparameters& parameters) {
  std::string type = parameters.text("rope.scaling.type", "");
  double factor = parameters.number("rope.scaling.factor", parameters.number("rope.scale_linear", 1));
  if (type.empty()) type = factor != 1 && factor != 0 ? "linear" : "none";
  if (type == "none") return nullptr;
  if (type == "linear") return {{"rope_type", "linear"}, {"factor", factor}};
  if (type == "yarn") return yarn(parameters);
  parameters.refuse(fmt::format("rope scaling \"{}\"", type));
}

}  // namespace

namespace {

/// rotated / head_dim such that the product with head_dim is not below `rotated`.
double rotated_part(int64_t rotated, int64_t head_dim) {
  double part = static_cast<double>(rotated) / static_cast<double>(head_dim);
  return part * static_cast<double>(head_dim) < static_cast<double>(rotated) ? std::nextafter(part, 1.0) : part;
}

}  // namespace

void write_gguf_rope(GgufHyperparameters& parameters, int64_t head_dim, json& config) {
  double theta = parameters.number("rope.freq_base", 10000);
  config["rope_theta"] = theta;
  int64_t rotated = parameters.size("rope.dimension_count", head_dim);
  if (rotated > head_dim) fail(ErrorKind::corrupt, "{}: {} of a head's {} elements should rotate", parameters.where(), rotated, head_dim);
  if (rotated != head_dim) config["partial_rotary_factor"] = rotated_part(rotated, head_dim);
  auto longer = parameters.tensor_numbers("rope_factors_long.weight"), shorter = parameters.tensor_numbers("rope_factors_short.weight");
  auto factors = parameters.tensor_numbers("rope_freqs.weight");
  if (!longer.empty()) {
    parameters.ignore("rope.scaling.type");
    config["rope_scaling"] = longrope(parameters, longer, shorter, config);
  } else if (!factors.empty()) {
    config["rope_scaling"] = scaling_by_factors(factors_of(std::move(factors), theta));
  } else {
    config["rope_scaling"] = scaling_by_type(parameters);
  }
}

}  // namespace nibble
