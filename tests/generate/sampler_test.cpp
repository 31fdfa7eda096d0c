#include "generate/sampler.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace nibble {

using testing::ElementsAre;
using testing::FloatNear;
using testing::Pointwise;

namespace {

constexpr float kForbidden = -std::numeric_limits<float>::infinity();

/// Logits whose softmax is `probabilities` (which add up to 1).
std::vector<float> logits_of(const std::vector<float>& probabilities) {
  std::vector<float> logits;
  for (float p : probabilities) logits.push_back(std::log(p));
  return logits;
}

GenerationConfig sampling() {
  GenerationConfig config;
  config.do_sample = true;
  return config;
}

/// What a sampler makes of the logits before it picks a token.
std::vector<float> processed(Sampler& sampler, std::vector<float> logits) {
  sampler.sample(logits);
  return logits;
}

std::vector<int64_t> draws(const GenerationConfig& config, size_t sequence, size_t count, size_t vocab = 1000) {
  Sampler sampler(config, {}, sequence);
  std::vector<int64_t> ids;
  for (size_t i = 0; i < count; ++i) {
    std::vector<float> logits(vocab, 0.0f);
    ids.push_back(sampler.sample(logits).id);
  }
  return ids;
}

}  // namespace

TEST(Candidates, AllTokensMostProbableFirst) {
  Candidates found = sampling_candidates(logits_of({0.1f, 0.6f, 0.3f}), sampling());
  EXPECT_THAT(found.ids, ElementsAre(1, 2, 0));
  EXPECT_THAT(found.probabilities, Pointwise(FloatNear(1e-6f), {0.6f, 0.3f, 0.1f}));
}

TEST(Candidates, TiesGoToTheLowerId) {
  GenerationConfig config = sampling();
  config.top_k = 2;
  EXPECT_THAT(sampling_candidates(std::vector<float>{1, 3, 2, 3, 3}, config).ids, ElementsAre(1, 3));
}

TEST(Candidates, TopKOfZeroOrBeyondTheVocabularyKeepsAll) {
  for (size_t top_k : {size_t{0}, size_t{3}, size_t{1000}, GenerationConfig::kUnlimited}) {
    GenerationConfig config = sampling();
    config.top_k = top_k;
    EXPECT_THAT(sampling_candidates(std::vector<float>{1, 2, 3}, config).ids, ElementsAre(2, 1, 0)) << top_k;
  }
}

TEST(Candidates, TopPKeepsTheTokenWhoseSumFirstExceedsIt) {
  GenerationConfig config = sampling();
  config.top_p = 0.5f;
  std::vector<float> quarters(4, 0.0f);
  EXPECT_THAT(sampling_candidates(quarters, config).ids, ElementsAre(0, 1, 2)) << "a sum of exactly top_p does not exceed it";
  config.top_p = 0.49f;
  EXPECT_THAT(sampling_candidates(quarters, config).ids, ElementsAre(0, 1));
}

TEST(Candidates, TopPBelowTheBestKeepsTheBest) {
  GenerationConfig config = sampling();
  config.top_p = 0.01f;
  EXPECT_THAT(sampling_candidates(logits_of({0.2f, 0.7f, 0.1f}), config).ids, ElementsAre(1));
}

TEST(Candidates, MinPIsAShareOfTheBest) {
  GenerationConfig config = sampling();
  config.min_p = 0.25f;
  Candidates found = sampling_candidates(logits_of({0.6f, 0.2f, 0.1f, 0.1f}), config);
  EXPECT_THAT(found.ids, ElementsAre(0, 1));
  EXPECT_THAT(found.probabilities, Pointwise(FloatNear(1e-6f), {0.75f, 0.25f}));
}

TEST(Candidates, TopKComesBeforeTopP) {
  GenerationConfig config = sampling();
  config.top_k = 2;
  config.top_p = 0.55f;  // of 4/7 and 3/7, not of 0.4 and 0.3
  EXPECT_THAT(sampling_candidates(logits_of({0.1f, 0.2f, 0.3f, 0.4f}), config).ids, ElementsAre(3));
}

TEST(Candidates, TemperatureComesBeforeMinP) {
  GenerationConfig config = sampling();
  config.min_p = 0.4f;
  std::vector<float> logits = logits_of({0.7f, 0.2f, 0.1f});
  EXPECT_THAT(sampling_candidates(logits, config).ids, ElementsAre(0));
  config.temperature = 2;  // ratios become their square roots: 0.53, 0.38
  EXPECT_THAT(sampling_candidates(logits, config).ids, ElementsAre(0, 1));
}

TEST(Candidates, TopPAddsUpProbabilitiesFromBeforeMinP) {
  GenerationConfig config = sampling();
  config.min_p = 0.5f;
  config.top_p = 0.55f;
  EXPECT_THAT(sampling_candidates(logits_of({0.5f, 0.3f, 0.1f, 0.1f}), config).ids, ElementsAre(0, 1)) << "0.625 and 0.375 after min_p";
}

TEST(Candidates, HugeLogitsDoNotOverflow) {
  Candidates found = sampling_candidates(std::vector<float>{3e4f, 3e4f, -3e4f}, sampling());
  EXPECT_THAT(found.probabilities, ElementsAre(0.5f, 0.5f, 0.0f));
}

TEST(Sampler, GreedyTakesTheFirstOfTheBest) {
  GenerationConfig config;
  std::vector<float> logits{1, 4, 2, 4};
  EXPECT_EQ(Sampler(config, {}).sample(logits).id, 1);
}

TEST(Sampler, EqualSeedsDrawEqualTokens) {
  GenerationConfig config = sampling();
  config.rng_seed = 7;
  EXPECT_EQ(draws(config, 0, 20), draws(config, 0, 20));
}

TEST(Sampler, OtherSeedsDrawOtherTokens) {
  GenerationConfig config = sampling();
  auto first = draws(config, 0, 20);
  config.rng_seed = 1;
  EXPECT_NE(draws(config, 0, 20), first);
}

TEST(Sampler, SequencesOfOneRequestDiffer) {
  GenerationConfig config = sampling();
  auto first = draws(config, 0, 20), second = draws(config, 1, 20), third = draws(config, 2, 20);
  EXPECT_NE(first, second);
  EXPECT_NE(first, third);
  EXPECT_NE(second, third);
}

TEST(Sampler, RepetitionPenaltyCoversPromptAndAnswerOnceEach) {
  GenerationConfig config;
  config.repetition_penalty = 1.5f;
  Sampler sampler(config, std::vector<int64_t>{1, 2, 1});
  EXPECT_THAT(processed(sampler, {6, 3, -3, -3}), ElementsAre(6, 2, -4.5f, -3));
  EXPECT_THAT(processed(sampler, {6, 3, -3, -3}), ElementsAre(4, 2, -4.5f, -3)) << "token 0 is in the answer now";
}

TEST(Sampler, PromptTokensOutsideTheVocabularyAreIgnored) {
  GenerationConfig config;
  config.repetition_penalty = 2;
  Sampler sampler(config, std::vector<int64_t>{-1, 2, 99});
  EXPECT_THAT(processed(sampler, {4, 4}), ElementsAre(4, 4));
}

TEST(Sampler, PresencePenaltyCountsTokensOfTheAnswerOnly) {
  GenerationConfig config;
  config.presence_penalty = 0.5f;
  Sampler sampler(config, std::vector<int64_t>{1});
  EXPECT_THAT(processed(sampler, {4, 3}), ElementsAre(4, 3));
  EXPECT_THAT(processed(sampler, {4, 3}), ElementsAre(3.5f, 3));
  EXPECT_THAT(processed(sampler, {4, 3}), ElementsAre(3.5f, 3)) << "twice in the answer, penalized once";
}

TEST(Sampler, PresencePenaltyRaisesNegativeLogitsAsGenAIDoes) {
  GenerationConfig config;
  config.presence_penalty = 0.5f;
  Sampler sampler(config, {});
  processed(sampler, {-1, -2});
  EXPECT_THAT(processed(sampler, {-1, -2}), ElementsAre(-0.5f, -2));
}

TEST(Sampler, FrequencyPenaltyGrowsWithTheCount) {
  GenerationConfig config;
  config.frequency_penalty = 0.5f;
  Sampler sampler(config, {});
  processed(sampler, {4, 0});
  EXPECT_THAT(processed(sampler, {4, 0}), ElementsAre(3.5f, 0));
  EXPECT_THAT(processed(sampler, {4, 0}), ElementsAre(3, 0));
  EXPECT_THAT(processed(sampler, {-4, -9}), ElementsAre(-2.5f, -9)) << "towards zero, as GenAI has it";
}

TEST(Sampler, PenaltiesApplyInTurn) {
  GenerationConfig config;
  config.repetition_penalty = 2;
  config.presence_penalty = 1.5f;
  config.frequency_penalty = 0.25f;
  Sampler sampler(config, {});
  processed(sampler, {2, 0});
  // 2 -> 1 (repetition) -> -0.5 (presence) -> -0.25 (frequency, of a negative logit by now)
  EXPECT_THAT(processed(sampler, {2, 0}), ElementsAre(-0.25f, 0));
}

TEST(Sampler, NoStopTokenBeforeMinNewTokens) {
  GenerationConfig config;
  config.min_new_tokens = 2;
  config.eos_token_ids = {0, 50};
  config.stop_token_ids = {1, -7};
  Sampler sampler(config, {});
  EXPECT_THAT(processed(sampler, {9, 8, 7}), ElementsAre(kForbidden, kForbidden, 7));
  EXPECT_THAT(processed(sampler, {9, 8, 7}), ElementsAre(kForbidden, kForbidden, 7));
  EXPECT_THAT(processed(sampler, {9, 8, 7}), ElementsAre(9, 8, 7));
}

TEST(Sampler, GreedyLogProbabilityIsZeroUnlessAskedFor) {
  GenerationConfig config;
  std::vector<float> logits{1, 2};
  EXPECT_EQ(Sampler(config, {}).sample(logits).log_probability, 0);
}

TEST(Sampler, LogProbabilitiesAreThoseOfTheRawLogits) {
  GenerationConfig config;
  config.logprobs = 1;
  config.repetition_penalty = 4;
  config.min_new_tokens = 1;
  config.eos_token_ids = {2};
  std::vector<float> logits = logits_of({0.3f, 0.2f, 0.5f});
  for (float& v : logits) v += 10;
  SampledToken token = Sampler(config, std::vector<int64_t>{0}).sample(logits);
  EXPECT_EQ(token.id, 1) << "2 is forbidden, 0 penalized";
  EXPECT_NEAR(token.log_probability, std::log(0.2f), 1e-5);
}

TEST(Sampler, DrawnTokensReportTheirFilteredProbability) {
  GenerationConfig config = sampling();
  config.top_k = 2;
  std::vector<float> logits = logits_of({0.1f, 0.6f, 0.3f});
  SampledToken token = Sampler(config, {}).sample(logits);
  EXPECT_NEAR(token.log_probability, std::log(token.id == 1 ? 2.0f / 3 : 1.0f / 3), 1e-5);
}

TEST(Sampler, DrawsFollowTheDistribution) {
  constexpr size_t kDraws = 20000;
  GenerationConfig config = sampling();
  std::vector<float> expected{0.05f, 0.5f, 0.15f, 0.3f}, seen(4, 0.0f);
  Sampler sampler(config, {});
  for (size_t i = 0; i < kDraws; ++i) {
    std::vector<float> logits = logits_of(expected);
    seen[static_cast<size_t>(sampler.sample(logits).id)] += 1.0f / kDraws;
  }
  EXPECT_THAT(seen, Pointwise(FloatNear(0.015f), expected));  // four standard deviations of 20000 draws
}

}  // namespace nibble
