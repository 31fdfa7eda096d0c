#include "export/rope.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/fail.hpp"

namespace nibble {

namespace {

/// theta^(2i/dims), in float as the reference computes it.
std::vector<float> wavelengths(double theta, int64_t dims) {
  std::vector<float> values;
  for (int64_t i = 0; i < dims; i += 2)
    values.push_back(std::pow(static_cast<float>(theta), static_cast<float>(i) / static_cast<float>(dims)));
  return values;
}

std::vector<float> default_frequencies(double theta, int64_t dims) {
  auto values = wavelengths(theta, dims);
  for (float& v : values) v = 1.0f / v;
  return values;
}

double required_number(const ModelConfig& scaling, std::string_view key) {
  if (!scaling.has(key)) fail(ErrorKind::corrupt, "{}: \"{}\" is missing", scaling.where(), key);
  return scaling.number(key, 0.0);
}

double positive_number(const ModelConfig& scaling, std::string_view key) {
  double value = required_number(scaling, key);
  if (value <= 0) fail(ErrorKind::corrupt, "{}: \"{}\" should be positive, it is {}", scaling.where(), key, value);
  return value;
}

void apply_linear(Rope& rope, const ModelConfig& scaling) {
  auto factor = static_cast<float>(positive_number(scaling, "factor"));
  for (float& v : rope.inverse_frequencies) v /= factor;
}

void apply_dynamic(Rope& rope, const ModelConfig& scaling) {
  if (rope.dims <= 2) fail(ErrorKind::unsupported, "{}: dynamic scaling needs more than 2 rotated dimensions", scaling.where());
  rope.dynamic = true;
  rope.factor = positive_number(scaling, "factor");
}

void apply_llama3(Rope& rope, const ModelConfig& scaling) {
  auto factor = static_cast<float>(positive_number(scaling, "factor"));
  double low_factor = positive_number(scaling, "low_freq_factor"), high_factor = positive_number(scaling, "high_freq_factor");
  double context = static_cast<double>(scaling.size("original_max_position_embeddings", rope.max_positions));
  double low_wavelength = context / low_factor, high_wavelength = context / high_factor;
  for (float& v : rope.inverse_frequencies) {
    double wavelength = 2.0 * std::numbers::pi / v;
    if (wavelength > low_wavelength) {
      v /= factor;
    } else if (wavelength >= high_wavelength) {
      auto smooth = static_cast<float>((context / wavelength - low_factor) / (high_factor - low_factor));
      v = (1.0f - smooth) * v / factor + smooth * v;
    }
  }
}

double yarn_mscale(double scale, double mscale) { return scale <= 1 ? 1.0 : 0.1 * mscale * std::log(scale) + 1.0; }

double yarn_attention_factor(const ModelConfig& scaling, double factor) {
  if (scaling.has("attention_factor")) return scaling.number("attention_factor", 1.0);
  double mscale = scaling.number("mscale", 0), all_dim = scaling.number("mscale_all_dim", 0);
  return mscale != 0 && all_dim != 0 ? yarn_mscale(factor, mscale) / yarn_mscale(factor, all_dim) : yarn_mscale(factor, 1.0);
}

/// The dimension whose wavelength makes `rotations` turns within `context` positions.
double yarn_correction_dim(double rotations, const Rope& rope, double context) {
  return static_cast<double>(rope.dims) * std::log(context / (rotations * 2 * std::numbers::pi)) / (2 * std::log(rope.theta));
}

void apply_yarn(Rope& rope, const ModelConfig& scaling) {
  scaling.knows({"finetuned"});  // of yarn's dynamic form
  double factor = positive_number(scaling, "factor");
  double context = static_cast<double>(scaling.size("original_max_position_embeddings", rope.max_positions));
  double fast = scaling.number("beta_fast", 0), slow = scaling.number("beta_slow", 0);
  double low = yarn_correction_dim(fast != 0 ? fast : 32, rope, context), high = yarn_correction_dim(slow != 0 ? slow : 1, rope, context);
  if (scaling.flag("truncate", true)) low = std::floor(low), high = std::ceil(high);
  low = std::max(low, 0.0), high = std::min(high, static_cast<double>(rope.dims - 1));
  if (low == high) high += 0.001;  // as the reference does, against a division by zero
  auto lengths = wavelengths(rope.theta, rope.dims);
  for (size_t i = 0; i < lengths.size(); ++i) {
    auto ramp = static_cast<float>(std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0));
    float extrapolated = 1.0f / lengths[i], interpolated = 1.0f / (static_cast<float>(factor) * lengths[i]);
    rope.inverse_frequencies[i] = interpolated * ramp + extrapolated * (1.0f - ramp);
  }
  rope.attention_factor = static_cast<float>(yarn_attention_factor(scaling, factor));
}

std::vector<float> scaled_by(const Rope& rope, const ModelConfig& scaling, std::string_view key) {
  auto factors = scaling.numbers(key);
  auto lengths = wavelengths(rope.theta, rope.dims);
  if (factors.size() != lengths.size())
    fail(ErrorKind::corrupt, "{}: \"{}\" should have {} numbers, it has {}", scaling.where(), key, lengths.size(), factors.size());
  for (size_t i = 0; i < lengths.size(); ++i) lengths[i] = 1.0f / (static_cast<float>(factors[i]) * lengths[i]);
  return lengths;
}

void apply_longrope(Rope& rope, const ModelConfig& config, const ModelConfig& scaling) {
  // transformers 4 looks for the original length beside rope_scaling, transformers 5 inside rope_parameters.
  // Only where they find it outside does the ratio of lengths win over a factor.
  constexpr const char* kOriginal = "original_max_position_embeddings";
  auto original = config.optional_size(kOriginal), inside = original;
  bool is_outside = original.has_value();
  if (config.has("rope_parameters")) inside = scaling.optional_size(kOriginal);
  if (!original) original = inside;
  if (inside && inside != original)
    fail(ErrorKind::corrupt, "{}: \"{}\" is {} here and {} outside", scaling.where(), kOriginal, *inside, *original);
  double ratio = original ? static_cast<double>(rope.max_positions) / static_cast<double>(*original) : 1.0;
  double given = scaling.number("factor", ratio), factor = is_outside ? ratio : given;
  rope.switch_length = original.value_or(rope.max_positions);
  rope.inverse_frequencies = scaled_by(rope, scaling, "short_factor");
  rope.long_inverse_frequencies = scaled_by(rope, scaling, "long_factor");
  double inferred = factor <= 1 ? 1.0 : std::sqrt(1 + std::log(factor) / std::log(static_cast<double>(rope.switch_length)));
  rope.attention_factor = rope.long_attention_factor = static_cast<float>(scaling.number("attention_factor", inferred));
}

}  // namespace

Rope make_rope(const ModelConfig& config, int64_t head_dim, int64_t max_positions, double default_theta, double default_rotated) {
  ModelConfig parameters = config.object("rope_parameters");
  ModelConfig scaling = config.has("rope_parameters") ? parameters : config.object("rope_scaling");
  Rope rope;
  double rotated = config.number("partial_rotary_factor", parameters.number("partial_rotary_factor", default_rotated));
  rope.dims = rotated > 0 && rotated <= 1 ? static_cast<int64_t>(static_cast<double>(head_dim) * rotated) : 0;
  rope.theta = config.number("rope_theta", parameters.number("rope_theta", default_theta));
  rope.max_positions = max_positions;
  if (rope.dims < 2 || rope.dims % 2 != 0 || rope.theta <= 0)
    fail(ErrorKind::corrupt, "{}: {} rotated dimensions of a head of {} with rope_theta {} make no rotary embedding", config.where(),
         rope.dims, head_dim, rope.theta);
  rope.inverse_frequencies = default_frequencies(rope.theta, rope.dims);

  std::string type = scaling.text("rope_type", scaling.text("type", "default"));
  if (type == "linear")
    apply_linear(rope, scaling);
  else if (type == "dynamic")
    apply_dynamic(rope, scaling);
  else if (type == "llama3")
    apply_llama3(rope, scaling);
  else if (type == "yarn")
    apply_yarn(rope, scaling);
  else if (type == "longrope" || type == "su")
    apply_longrope(rope, config, scaling);
  else if (type != "default")
    fail(ErrorKind::unsupported, "{}: rope scaling \"{}\" is not known (known: default, linear, dynamic, llama3, yarn, longrope)",
         scaling.where(), type);
  return rope;
}

}  // namespace nibble
