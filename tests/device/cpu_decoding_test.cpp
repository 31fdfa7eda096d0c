#include "compress/weight_compression.hpp"
#include "cpu_session.hpp"
#include "export/checkpoint_graph.hpp"
#include "nibble/tokenizer.hpp"
#include "scratch_directory.hpp"

// How far decoding token by token, the embedded model in int4, drifts from the same weights computed in float32 over a long text: what the
// cache of keys and values in 8 bits costs, and the rounding of queries and probabilities that are multiplied with its codes.

namespace nibble {

namespace {

const std::filesystem::path kNib = std::filesystem::path(NIBBLE_SOURCE_DIR) / "models/nib";

Graph int4_nib(Context& context) {
  Graph graph = build_checkpoint_graph(kNib, FloatFormat::f16);
  compress_weights(graph, {.mode = CompressWeightsMode::int4_asym}, context);
  return graph;
}

/// As many as the model's positions allow, but for the loops without vector instructions, which take a hundred times as long.
std::vector<int64_t> validation_tokens(cpu::Isa isa) {
  std::vector<int64_t> ids = Tokenizer(kNib).encode(test::file_text(kNib / "eval/validation.txt")).ids;
  ids.resize(isa == cpu::Isa::scalar ? 100 : 1000);
  return ids;
}

class CpuDecoding : public testing::TestWithParam<cpu::Isa> {
 protected:
  Tensor prompt_logits(std::string_view device, const Properties& properties) {
    auto runner = make_runner(find_device(device).compile(int4_nib(context_), properties, context_));
    return runner->forward(std::vector<TokenSpan>{{1, tokens_, true}}).clone();
  }
  double prompt_divergence(const Properties& properties) { return test::mean_divergence(expected_, prompt_logits("CPU", properties)); }

  /// With every token of the text as the next one, whatever the logits say.
  double decoding_divergence(const Properties& properties) {
    auto runner = make_runner(test::compile_on_cpu(int4_nib(context_), context_, properties));
    double sum = 0;
    for (size_t i = 0; i < tokens_.size(); ++i) {
      Tensor logits = runner->forward(std::vector<TokenSpan>{{1, std::span(tokens_).subspan(i, 1)}});
      sum += test::divergence(test::logits_row(expected_, i), test::logits_row(logits, 0));
    }
    return sum / static_cast<double>(tokens_.size());
  }

  test::ForcedIsa forced_{GetParam()};
  Context context_{{.threads = 1, .log = {}}};
  std::vector<int64_t> tokens_ = validation_tokens(GetParam());
  Tensor expected_ = prompt_logits("REFERENCE", {});
};

INSTANTIATE_TEST_SUITE_P(Isas, CpuDecoding, testing::ValuesIn(cpu::available_isas()),
                         [](const auto& test) { return std::string(to_string(test.param)); });

TEST_P(CpuDecoding, IsCloserToExactThanThatOfOpenVino) {
  constexpr double kOpenVino = 9.3e-5;  // OpenVINO 2026.4.1 with its defaults, these tokens one by one
  double divergence = decoding_divergence({});
  RecordProperty("divergence", std::to_string(divergence * 1e5) + "e-5");  // --gtest_output=xml
  EXPECT_LT(divergence, kOpenVino);
}

TEST_P(CpuDecoding, CostsLittleMoreThanTheRoundingOfTheCacheItself) {
  Properties properties = test::exact();
  properties["KV_CACHE_PRECISION"] = "u8";
  // Prompts read the same codes in float32.
  EXPECT_LT(decoding_divergence(properties), 1.5 * prompt_divergence(properties));
}

TEST_P(CpuDecoding, IsExactWhereNothingIsRounded) { EXPECT_LT(decoding_divergence(test::exact()), 1e-10); }

}  // namespace
}  // namespace nibble
