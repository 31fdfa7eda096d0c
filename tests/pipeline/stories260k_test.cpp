#include <gmock/gmock.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <map>
#include <optional>

#include "models.hpp"
#include "nibble/error.hpp"
#include "nibble/llm_pipeline.hpp"

// A sentencepiece model and OpenVINO GenAI 2026.4's answers for it under many configs, where they lie beside the project.

namespace nibble {

using testing::StartsWith;

namespace {

using nlohmann::json;
namespace fs = std::filesystem;

fs::path shared() { return test::source_directory().parent_path() / "shared"; }
fs::path model_directory() { return shared() / "models/stories260k"; }
fs::path answers() { return shared() / "fixtures/genai/cases.json"; }
fs::path distributions() { return shared() / "fixtures/genai/sampling.json"; }

class Stories : public testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(model_directory())) GTEST_SKIP() << "there is no stories260k";
    pipeline_.emplace(model_directory(), "", test::exact(), test::two_threads());
  }
  GenerationConfig config(size_t max_new_tokens) const {
    GenerationConfig config = pipeline_->generation_config();
    config.max_new_tokens = max_new_tokens;
    return config;
  }
  std::optional<LLMPipeline> pipeline_;
};

/// The config of a reference case, or nothing where it has fields of another kind of generation.
std::optional<GenerationConfig> config_of(const GenerationConfig& defaults, const json& reference) {
  try {
    return with_json_fields(defaults, reference["config"].dump());
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::vector<std::string> upper_case(const std::vector<FinishReason>& reasons) {
  std::vector<std::string> names;
  for (FinishReason reason : reasons) {
    names.emplace_back(to_string(reason));
    for (char& c : names.back()) c = static_cast<char>(std::toupper(c));
  }
  return names;
}

}  // namespace

TEST_F(Stories, TellsOneFromAnEmptyPrompt) {
  GenerationResult result = pipeline_->generate("", config(60));
  EXPECT_THAT(result.texts[0], StartsWith("Once upon a time, there was a little girl named Lily. She loved to play outside in the park. "
                                          "One day, she saw a big, red ball."));
}

TEST_F(Stories, DefaultPrecisionTellsTheStoryOfReference) {
  auto told = [&](const std::string& device) {
    return LLMPipeline(model_directory(), device, {}, test::two_threads()).generate("Once upon a time", config(100)).ids;
  };
  EXPECT_EQ(told("CPU"), told("REFERENCE"));
}

TEST_F(Stories, StreamsWhatItReturns) {
  for (bool echo : {false, true}) {
    GenerationConfig streamed = config(40);
    streamed.echo = echo;
    std::string text;
    auto collect = [&](std::string_view piece) {
      text += piece;
      return StreamingStatus::running;
    };
    GenerationResult result = pipeline_->generate("Once upon a", streamed, collect);
    EXPECT_EQ(text, result.texts[0]) << "echo: " << echo;
  }
}

TEST_F(Stories, AnswersAsGenAIDoes) {
  if (!fs::exists(answers())) GTEST_SKIP() << "there are no reference answers";
  size_t checked = 0;
  for (const json& reference : test::read_json(answers())) {
    auto config = config_of(pipeline_->generation_config(), reference);
    if (!config || reference["pipeline"] != "default" || reference["match"]["tokens"] != "exact") continue;
    SCOPED_TRACE(reference["id"].get<std::string>() + " " + reference["config"].dump());
    GenerationResult result = pipeline_->generate(reference["prompt_ids"].get<std::vector<int64_t>>(), *config);
    const json& expected = reference["expected"];
    EXPECT_EQ(result.ids, expected["tokens"].get<std::vector<std::vector<int64_t>>>());
    EXPECT_EQ(result.texts, expected["texts"].get<std::vector<std::string>>());
    EXPECT_EQ(upper_case(result.finish_reasons), expected["finish_reasons"].get<std::vector<std::string>>());
    EXPECT_NEAR(result.scores[0], expected["scores"][0].get<float>(), reference["match"]["scores_abs"].get<float>());
    ++checked;
  }
  EXPECT_EQ(checked, 40u);
}

TEST_F(Stories, TokenizesPromptsAsGenAIDoes) {
  if (!fs::exists(answers())) GTEST_SKIP() << "there are no reference answers";
  for (const json& reference : test::read_json(answers())) {
    if (!reference["prompt"].is_string()) continue;
    EXPECT_EQ(pipeline_->tokenizer().encode(reference["prompt"].get<std::string>()).ids,
              reference["prompt_ids"].get<std::vector<int64_t>>());
  }
}

TEST_F(Stories, DrawsFromTheSameDistributionsAsGenAI) {
  if (!fs::exists(distributions())) GTEST_SKIP() << "there are no reference distributions";
  constexpr size_t kDraws = 64;
  for (const json& reference : test::read_json(distributions())) {
    SCOPED_TRACE(reference["prompt"].get<std::string>() + " " + reference["config"].dump());
    GenerationConfig config = with_json_fields(pipeline_->generation_config(), reference["config"].dump());
    std::vector<GenerationRequest> request{{Prompt::from_ids(reference["prompt_ids"].get<std::vector<int64_t>>()), config}};
    request[0].config.num_return_sequences = kDraws;
    GenerationResult result = pipeline_->generate(request).at(0);

    auto support = reference["support"].get<std::vector<int64_t>>();
    auto probabilities = reference["probabilities"].get<std::vector<double>>();
    std::map<int64_t, double> difference;
    for (size_t i = 0; i < support.size(); ++i) difference[support[i]] = -probabilities[i];
    for (size_t i = 0; i < kDraws; ++i) {
      auto found = difference.find(result.ids[i][0]);
      ASSERT_NE(found, difference.end()) << result.ids[i][0] << " may not be drawn";
      found->second += 1.0 / kDraws;
      size_t place = static_cast<size_t>(std::find(support.begin(), support.end(), found->first) - support.begin());
      EXPECT_NEAR(std::exp(result.scores[i]), probabilities[place], 1e-4 + 1e-3 * probabilities[place]);
    }
    double variation = 0;
    for (const auto& [id, value] : difference) variation += std::abs(value) / 2;
    EXPECT_LE(variation, 2 * std::sqrt(400.0 / kDraws) * reference["expected_tv_400"].get<double>() + 1e-6);
  }
}

}  // namespace nibble
