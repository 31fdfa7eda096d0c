// Each method on its own against NNCF 3.4's results for the same weights and activations: tests/data/compress/data_aware.safetensors.
#include <cmath>

#include "compress/awq.hpp"
#include "compress/codebook_estimation.hpp"
#include "compress/gptq.hpp"
#include "compress/lora_correction.hpp"
#include "compress/scale_estimation.hpp"
#include "fixture.hpp"
#include "ir/reader.hpp"
#include "tensor/convert.hpp"

namespace nibble {
namespace {

using Mode = CompressWeightsMode;

const WeightSource& reference() {
  static const std::unique_ptr<WeightSource> source = open_safetensors(test::data_path("data_aware.safetensors"));
  return *source;
}

std::vector<float> values(const std::string& name) { return to_floats(reference().get(name)); }

/// A weight of the model in tests/data/compress/models, by the name of its layer.
Tensor weight_of(const std::string& layer) {
  static const Graph graph = read_ir(test::data_path("models/llama.xml"));
  for (Node* node : graph.of_type("Constant"))
    if (node->name() == "self.model.layers." + layer + "._openvino_orig_weight") return node->constant().tensor();
  throw std::runtime_error(layer);
}

ActivationStatistics means_of(const std::string& layer) {
  Tensor means = reference().get("mean." + layer);
  auto samples = static_cast<size_t>(means.shape()[0]), columns = static_cast<size_t>(means.shape()[1]);
  auto all = to_floats(means);
  std::vector<std::vector<float>> rows;
  for (size_t i = 0; i < samples; ++i) rows.emplace_back(&all[i * columns], &all[i * columns] + columns);
  return {1, columns, rows, std::vector<size_t>(samples, 24)};
}

struct Case {
  std::string id;
  Mode mode;
  size_t group_size;  // 0 = a row
};

QuantizeRule rule_of(const Case& test, const Tensor& weight) {
  auto columns = static_cast<size_t>(weight.shape()[1]);
  QuantizeRule rule{.mode = test.mode, .group_size = test.group_size ? test.group_size : columns, .large = weight.size() >= kLargeWeight};
  if (weight_format(test.mode).family == QuantizerFamily::levels) rule.levels = &standard_levels(test.mode);
  return rule;
}

MatrixLayout layout_of(const Tensor& weight) { return *matrix_layout(weight.shape(), {1}); }

double largest_relative_difference(std::span<const float> a, std::span<const float> b) {
  EXPECT_EQ(a.size(), b.size());
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::fabs(static_cast<double>(a[i]) / b[i] - 1));
  return largest;
}

TEST(Awq, FindsNncfsScales) {
  ThreadPool threads(2);
  for (const Case& test : {Case{"2", Mode::int4_sym, 64}, {"12", Mode::int4_asym, 64}, {"22", Mode::nf4, 64}, {"28", Mode::int4_sym, 0}})
    for (std::string block : {"0", "1"}) {
      Tensor weight = weight_of(block + ".mlp.down_proj"), previous_weight = weight_of(block + ".mlp.up_proj");
      PreviousLayer previous{row_magnitudes(previous_weight, layout_of(previous_weight), threads), 0, 128};
      ActivationStatistics before = means_of(block + ".mlp.up_proj");
      for (float value : before.largest(0)) previous.largest_input = std::max(previous.largest_input, value);
      auto scales =
          awq_scales(weight, layout_of(weight), rule_of(test, weight), means_of(block + ".mlp.down_proj"), {}, &previous, false, threads);
      EXPECT_LT(largest_relative_difference(scales, values(test.id + ".awq." + block + ".mlp.down_proj")), 4e-7) << test.id << " " << block;
    }
}

TEST(Awq, FindsNncfsScalesWithoutData) {
  ThreadPool threads(2);
  for (std::string block : {"0", "1"}) {
    Tensor weight = weight_of(block + ".mlp.down_proj");
    auto scales = data_free_awq_scales(weight, layout_of(weight), false, threads);
    EXPECT_LT(largest_relative_difference(scales, values("1.awq." + block + ".mlp.down_proj")), 4e-7) << block;
  }
}

TEST(Awq, KeepsThePreviousLayersOutputsInRange) {
  ThreadPool threads(1);
  Tensor weight = weight_of("0.mlp.down_proj");
  MatrixLayout layout = layout_of(weight);
  PreviousLayer previous{std::vector<float>(layout.columns, 1.0f), 1e4f, 100};
  auto scales =
      awq_scales(weight, layout, rule_of({"", Mode::int4_sym, 64}, weight), means_of("0.mlp.down_proj"), {}, &previous, false, threads);
  // 1e6 / scale must not exceed a quarter of 65504 where a scale was looked for.
  size_t limited = 0;
  for (float scale : scales)
    if (scale != 1.0f) {
      EXPECT_NEAR(scale, 1e6f / (0.25f * 65504.0f), 1e-3f);
      ++limited;
    }
  EXPECT_EQ(limited % 64, 0u);
  EXPECT_GT(limited, 0u);
}

TEST(ScaleEstimation, FindsNncfsScales) {
  ThreadPool threads(2);
  size_t total = 0, different = 0;
  for (const Case& test : {Case{"3", Mode::int4_sym, 64},
                           {"13", Mode::int4_asym, 64},
                           {"23", Mode::nf4, 64},
                           {"29", Mode::int4_sym, 0},
                           {"34", Mode::cb4, 64}})
    for (std::string layer : {"0.mlp.down_proj", "0.self_attn.q_proj", "1.mlp.down_proj"}) {
      if (!reference().contains("mean." + layer)) continue;
      Tensor weight = weight_of(layer);
      auto found = estimate_scales(weight, layout_of(weight), rule_of(test, weight), means_of(layer), {}, threads).scales;
      auto expected = values(test.id + ".se." + layer);
      ASSERT_EQ(found.size(), expected.size());
      for (size_t i = 0; i < found.size(); ++i, ++total) different += std::fabs(found[i] / expected[i] - 1) > 4e-7f;
    }
  // A candidate whose error is all but equal may be taken or not.
  EXPECT_LE(different, 3u) << "of " << total;
}

TEST(ScaleEstimation, LeavesGroupsAloneThatAreNeverActive) {
  ThreadPool threads(1);
  Tensor weight = weight_of("0.self_attn.q_proj");
  ActivationStatistics silent(1, 128, {std::vector<float>(128, 0.0f)}, {4});
  QuantizeRule rule = rule_of({"", Mode::int4_asym, 64}, weight);
  GroupScales estimated = estimate_scales(weight, layout_of(weight), rule, silent, {}, threads);
  std::vector<float> weights = to_floats(weight), scales(estimated.scales.size());
  std::vector<uint8_t> codes(weights.size()), zero_points(scales.size());
  quantize_groups(weights, rule, {codes, scales, zero_points});
  EXPECT_EQ(estimated.scales, scales);
  EXPECT_EQ(estimated.zero_points, zero_points);
}

TEST(ScaleEstimation, TransposedWeightsAndExpertsGetTheSameScales) {
  ThreadPool threads(2);
  Tensor weight = weight_of("0.self_attn.q_proj");
  ActivationStatistics means = means_of("0.self_attn.q_proj");
  QuantizeRule rule = rule_of({"", Mode::int4_asym, 64}, weight);
  GroupScales plain = estimate_scales(weight, layout_of(weight), rule, means, {}, threads);
  std::vector<float> from = to_floats(weight), two(2 * from.size());
  for (size_t row = 0; row < 128; ++row)
    for (size_t c = 0; c < 128; ++c) two[c * 128 + row] = two[128 * 128 + c * 128 + row] = from[row * 128 + c];
  Tensor stacked = Tensor::from<float>({2, 128, 128}, two);
  MatrixLayout layout = *matrix_layout(stacked.shape(), {1});
  EXPECT_TRUE(layout.transposed);
  GroupScales other = estimate_scales(stacked, layout, rule, means, {}, threads);
  for (size_t m = 0; m < 2; ++m)
    for (size_t row = 0; row < 128; ++row)
      for (size_t g = 0; g < 2; ++g) {
        EXPECT_EQ(other.scales[m * 256 + g * 128 + row], plain.scales[row * 2 + g]);
        EXPECT_EQ(other.zero_points[m * 256 + g * 128 + row], plain.zero_points[row * 2 + g]);
      }
}

GptqMatrix run_gptq(const Case& test, const Tensor& weight, std::vector<float> hessian) {
  ThreadPool threads(2);
  return gptq(to_floats(weight), 128, std::move(hessian), rule_of(test, weight), {}, nullptr, 0, "layer", threads);
}

TEST(Gptq, FindsNncfsCodesAndScales) {
  Tensor weight = weight_of("0.self_attn.q_proj");
  GptqMatrix symmetric = run_gptq({"5", Mode::int4_sym, 64}, weight, values("hessian.0.self_attn.q_proj"));
  EXPECT_LT(largest_relative_difference(symmetric.scales, values("5.gptq_scale.0.self_attn.q_proj")), 1e-7);
  Tensor codes = Tensor::view(ElementType::i4, {128 * 128}, reference().get("5.q.0.self_attn.q_proj").bytes(), nullptr);
  size_t different = 0;
  for (size_t i = 0; i < 128 * 128; ++i) {
    float value = 0;
    unpack_to_float(ElementType::i4, codes.data(), i, {&value, 1});
    different += std::fabs(symmetric.values[i] - value * symmetric.scales[i / 64]) > 1e-6f;
  }
  // Where a quotient falls on a half another order of additions gives another code, and other ones after it in its row.
  EXPECT_LE(different, 64u);
  GptqMatrix asymmetric = run_gptq({"15", Mode::int4_asym, 64}, weight, values("hessian.0.self_attn.q_proj"));
  EXPECT_LT(largest_relative_difference(asymmetric.scales, values("15.gptq_scale.0.self_attn.q_proj")), 1e-6);
  EXPECT_EQ(asymmetric.zero_points, values("15.gptq_zero_point.0.self_attn.q_proj"));
}

/// What GPTQ minimizes: sum over rows of d H d^T, d being the difference to the weight.
double output_error(const std::vector<float>& a, const std::vector<float>& b, const std::vector<float>& hessian, size_t columns) {
  double sum = 0;
  for (size_t row = 0; row < a.size() / columns; ++row)
    for (size_t i = 0; i < columns; ++i)
      for (size_t j = 0; j < columns; ++j)
        sum += static_cast<double>(a[row * columns + i] - b[row * columns + i]) * hessian[std::min(i, j) * columns + std::max(i, j)] *
               (a[row * columns + j] - b[row * columns + j]);
  return sum;
}

TEST(Gptq, BlocksDoNotChangeTheResultMuch) {
  ThreadPool threads(2);
  Tensor weight = weight_of("0.self_attn.q_proj");
  auto hessian = values("hessian.0.self_attn.q_proj"), plain = to_floats(weight);
  QuantizeRule rule = rule_of({"", Mode::int4_sym, 32}, weight);
  double rounded_error = 0, first = 0;
  std::vector<float> scales(128 * 4), rounded(plain.size());
  std::vector<uint8_t> codes(plain.size());
  quantize_groups(plain, rule, {codes, scales, {}});
  for (size_t i = 0; i < plain.size(); ++i) rounded[i] = static_cast<float>(static_cast<int8_t>(codes[i])) * scales[i / 32];
  rounded_error = output_error(rounded, plain, hessian, 128);
  for (int64_t block : {128, 48, 1}) {
    GptqMatrix found =
        gptq(plain, 128, hessian, rule, {.damp_percent = 0.1, .block_size = block, .subset_size = 128}, nullptr, 0, "layer", threads);
    double error = output_error(found.values, plain, hessian, 128);
    EXPECT_LT(error, 0.6 * rounded_error) << block;
    if (first == 0) first = error;
    EXPECT_NEAR(error / first, 1, 0.15) << block;
  }
}

TEST(Gptq, ColumnsThatAreNeverActiveBecomeZero) {
  Tensor weight = weight_of("0.self_attn.q_proj");
  auto hessian = values("hessian.0.self_attn.q_proj");
  for (size_t i = 0; i < 128; ++i) hessian[5 * 128 + i] = hessian[i * 128 + 5] = 0;
  GptqMatrix found = run_gptq({"", Mode::int4_asym, 64}, weight, hessian);
  for (size_t row = 0; row < 128; ++row) EXPECT_EQ(found.values[row * 128 + 5], 0.0f);
  for (float value : found.values) EXPECT_TRUE(std::isfinite(value));
}

TEST(Gptq, ALayerThatWasNeverReachedIsRounded) {
  Tensor weight = weight_of("0.self_attn.q_proj");
  GptqMatrix found = run_gptq({"", Mode::nf4, 64}, weight, std::vector<float>(128 * 128, 0.0f));
  auto plain = to_floats(weight);
  for (size_t i = 0; i < plain.size(); ++i) ASSERT_NEAR(found.values[i], plain[i], found.scales[i / 64] * 0.16f) << i;
}

TEST(LoraCorrection, FindsNncfsAdapters) {
  ThreadPool threads(2);
  for (std::string layer : {"0.mlp.down_proj", "0.self_attn.q_proj", "1.mlp.down_proj"}) {
    Tensor weight = weight_of(layer);
    LoraAdapters found =
        lora_adapters(weight, layout_of(weight), rule_of({"8", Mode::int4_sym, 64}, weight), nullptr, means_of(layer), true, {}, threads);
    auto a = to_floats(found.a), b = to_floats(found.b), expected_a = values("8.lora_a." + layer), expected_b = values("8.lora_b." + layer);
    ASSERT_EQ(a.size(), expected_a.size());
    size_t columns = a.size() / 8;
    double difference = 0, norm = 0;  // only the product is unique
    for (size_t row = 0; row < 128; ++row)
      for (size_t c = 0; c < columns; ++c) {
        double ours = 0, theirs = 0;
        for (size_t j = 0; j < 8; ++j)
          ours += static_cast<double>(b[row * 8 + j]) * a[j * columns + c],
              theirs += static_cast<double>(expected_b[row * 8 + j]) * expected_a[j * columns + c];
        difference += (ours - theirs) * (ours - theirs), norm += theirs * theirs;
      }
    EXPECT_LT(std::sqrt(difference / norm), 2e-6) << layer;
  }
}

TEST(LoraCorrection, WithoutRegularizationCorrectsTheSamples) {
  ThreadPool threads(1);
  Tensor weight = weight_of("0.self_attn.q_proj");
  ActivationStatistics means = means_of("0.self_attn.q_proj");
  QuantizeRule rule = rule_of({"", Mode::int4_sym, 64}, weight);
  auto samples = means.subset(0, 128);
  auto error = [&](const LoraAdapters& adapters) {
    auto a = to_floats(adapters.a), b = to_floats(adapters.b), plain = to_floats(weight);
    std::vector<float> scales(256);
    std::vector<uint8_t> codes(plain.size());
    quantize_groups(plain, rule, {codes, scales, {}});
    double sum = 0;
    for (size_t row = 0; row < 128; ++row)
      for (size_t j = 0; j < samples.samples; ++j) {
        double output = 0;
        for (size_t c = 0; c < 128; ++c) {
          double left = static_cast<double>(plain[row * 128 + c]) -
                        static_cast<double>(static_cast<int8_t>(codes[row * 128 + c])) * scales[(row * 128 + c) / 64];
          for (size_t k = 0; k < 8; ++k) left -= static_cast<double>(b[row * 8 + k]) * a[k * 128 + c];
          output += left * samples.values[c * samples.samples + j];
        }
        sum += output * output;
      }
    return sum;
  };
  LoraCorrectionParameters free{.apply_regularization = false};
  double regularized = error(lora_adapters(weight, layout_of(weight), rule, nullptr, means, true, {}, threads));
  EXPECT_LT(error(lora_adapters(weight, layout_of(weight), rule, nullptr, means, true, free, threads)), 0.8 * regularized);
}

TEST(LoraCorrection, HasNothingToAddToAnExactWeight) {
  ThreadPool threads(1);
  std::vector<float> exact(64 * 16);
  for (size_t i = 0; i < exact.size(); ++i) exact[i] = static_cast<float>(i % 16) - 8;
  Tensor weight = Tensor::from<float>({16, 64}, exact);
  ActivationStatistics means(1, 64, {std::vector<float>(64, 1.0f)}, {1});
  LoraAdapters adapters =
      lora_adapters(weight, layout_of(weight), rule_of({"", Mode::int4_sym, 0}, weight), nullptr, means, false, {}, threads);
  for (float value : to_floats(adapters.a)) EXPECT_EQ(value, 0.0f);
  for (float value : to_floats(adapters.b)) EXPECT_EQ(value, 0.0f);
}

TEST(CodebookEstimation, FindsNncfsCodebooks) {
  ThreadPool threads(2);
  for (std::string layer : {"0.mlp.down_proj", "0.self_attn.q_proj", "1.mlp.down_proj"}) {
    Tensor weight = weight_of(layer);
    Tensor found = estimate_codebook(weight, layout_of(weight), 64, cb4_codebook(), means_of(layer), {}, threads);
    auto expected = reference().get("35.codebook." + layer);
    EXPECT_TRUE(std::equal(found.bytes().begin(), found.bytes().end(), expected.bytes().begin(), expected.bytes().end())) << layer;
  }
}

TEST(CodebookEstimation, TakesWeightsWithoutSpread) {
  ThreadPool threads(1);
  Tensor zeros(ElementType::f32, {16, 64});
  ActivationStatistics means(1, 64, {std::vector<float>(64, 1.0f)}, {1});
  Tensor found = estimate_codebook(zeros, layout_of(zeros), 64, cb4_codebook(), means, {}, threads);
  EXPECT_EQ(found.size(), 16u);
  ActivationStatistics silent(1, 64, {std::vector<float>(64, 0.0f)}, {1});
  EXPECT_EQ(estimate_codebook(weight_of("0.self_attn.k_proj").reshaped({128, 64}), *matrix_layout({128, 64}, {1}), 64, cb4_codebook(),
                              silent, {}, threads)
                .size(),
            16u);
}

}  // namespace
}  // namespace nibble
