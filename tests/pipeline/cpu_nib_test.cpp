#include <gmock/gmock.h>

#include "models.hpp"
#include "nibble/evaluate.hpp"
#include "nibble/export.hpp"
#include "nibble/llm_pipeline.hpp"

// Device CPU against device REFERENCE on the embedded model in the weight formats.

namespace nibble {

namespace {

struct Format {
  std::string weights;
  std::optional<bool> symmetric = {};
  std::optional<int64_t> group_size = {};
  std::string name() const {
    return weights + (symmetric ? (*symmetric ? "_sym" : "_asym") : "") + (group_size ? "_" + std::to_string(*group_size) : "");
  }
};

void PrintTo(const Format& format, std::ostream* out) { *out << format.name(); }

class CpuWithWeights : public testing::TestWithParam<Format> {
 protected:
  CpuWithWeights() {
    ExportOptions options;
    options.weight_format = GetParam().weights;
    if (GetParam().symmetric) options.sym = *GetParam().symmetric;
    if (GetParam().group_size) options.group_size = *GetParam().group_size;
    export_model(test::nib(), model(), options, *context_);
  }
  std::filesystem::path model() const { return scratch_ / "model"; }

  double perplexity(const std::string& device) const {
    constexpr size_t kCharacters = 4000;
    LanguageModel language_model(model(), device, {}, context_);
    return evaluate(language_model, nullptr, model(), test::validation_text().substr(0, kCharacters)).model.perplexity;
  }

  std::vector<std::vector<int64_t>> greedy(const std::string& device, const Properties& properties) const {
    LLMPipeline pipeline(model(), device, properties, context_);
    std::vector<GenerationRequest> requests;
    nlohmann::json expected = test::read_json(test::nib() / "eval/expected.json");
    for (const auto& reference : expected["greedy"]) {
      GenerationConfig config = pipeline.generation_config();
      config.max_new_tokens = 24;
      requests.push_back({Prompt::from_ids(reference["prompt_ids"].get<std::vector<int64_t>>()), config});
    }
    std::vector<std::vector<int64_t>> answers;
    for (const GenerationResult& result : pipeline.generate(requests)) answers.push_back(result.ids.at(0));
    return answers;
  }

  test::ScratchDirectory scratch_;
  std::shared_ptr<Context> context_ = test::two_threads();
};

INSTANTIATE_TEST_SUITE_P(, CpuWithWeights,
                         testing::Values(Format{"fp16"}, Format{"int8"}, Format{"int8", true}, Format{"int4", false, 128},
                                         Format{"int4", true, 32}, Format{"nf4"}, Format{"mxfp4"}),
                         [](const auto& instance) { return instance.param.name(); });

}  // namespace

TEST_P(CpuWithWeights, PerplexityIsThatOfReference) {
  double reference = perplexity("REFERENCE");
  EXPECT_NEAR(perplexity("CPU"), reference, 0.005 * reference);
}

TEST_P(CpuWithWeights, GreedyTextIsThatOfReference) {
  std::vector<std::vector<int64_t>> expected = greedy("REFERENCE", {});
  ASSERT_EQ(expected.size(), 30u);
  EXPECT_EQ(greedy("CPU", test::exact()), expected);
}

}  // namespace nibble
