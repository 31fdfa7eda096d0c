#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>

#include "generate/sampler.hpp"

// tests/data/generate/sampling.json: the distributions of the first token after two prompts under many settings, as OpenVINO GenAI
// 2026.4 draws from them (of distributions over the whole vocabulary only the head is kept). The logits are known through the
// probabilities at temperature 2, by token id.

namespace nibble {

namespace {

using nlohmann::json;

json reference_cases() {
  std::ifstream file(std::string(NIBBLE_SOURCE_DIR) + "/tests/data/generate/sampling.json");
  return json::parse(file);
}

std::vector<float> logits_of(const json& prompt) {
  std::vector<float> logits;
  for (double p : prompt["probabilities_at_temperature_2"]) logits.push_back(static_cast<float>(2 * std::log(std::max(p, 1e-8))));
  return logits;
}

GenerationConfig config_of(const json& setting) {
  GenerationConfig config = with_json_fields({}, setting["config"].dump());
  config.do_sample = true;
  return config;
}

void for_each_setting(const std::function<void(const std::vector<float>& logits, const json& setting)>& check) {
  size_t count = 0;
  for (const json& prompt : reference_cases()) {
    std::vector<float> logits = logits_of(prompt);
    for (const json& setting : prompt["settings"]) {
      SCOPED_TRACE(prompt["prompt"].get<std::string>() + " " + setting["config"].dump());
      check(logits, setting);
      ++count;
    }
  }
  EXPECT_EQ(count, 32u);
}

/// Half the sum of the differences between the shares of the drawn tokens and their probabilities.
double total_variation(const std::map<int64_t, double>& shares, const Candidates& candidates) {
  double sum = 0;
  for (size_t i = 0; i < candidates.ids.size(); ++i) {
    auto found = shares.find(candidates.ids[i]);
    sum += std::abs((found == shares.end() ? 0.0 : found->second) - candidates.probabilities[i]);
  }
  return sum / 2;
}

}  // namespace

TEST(ReferenceSampling, SupportAndProbabilitiesAreThoseOfGenAI) {
  for_each_setting([](const std::vector<float>& logits, const json& setting) {
    Candidates found = sampling_candidates(logits, config_of(setting));
    auto support = setting["support"].get<std::vector<int64_t>>();
    auto probabilities = setting["probabilities"].get<std::vector<float>>();
    ASSERT_EQ(found.ids.size(), setting["support_size"].get<size_t>());
    for (size_t i = 0; i < support.size(); ++i) {
      EXPECT_EQ(found.ids[i], support[i]) << i;
      EXPECT_NEAR(found.probabilities[i], probabilities[i], 1e-5) << i;
    }
  });
}

TEST(ReferenceSampling, DrawsVaryNoMoreThanTheirNumberExplains) {
  for_each_setting([](const std::vector<float>& logits, const json& setting) {
    constexpr size_t kDraws = 400;
    GenerationConfig config = config_of(setting);
    Candidates candidates = sampling_candidates(logits, config);
    std::map<int64_t, double> shares;
    for (size_t seed = 0; seed < kDraws; ++seed) {
      config.rng_seed = seed;
      std::vector<float> scratch = logits;
      shares[Sampler(config, {}).sample(scratch).id] += 1.0 / kDraws;
    }
    for (const auto& [id, share] : shares)
      EXPECT_NE(std::find(candidates.ids.begin(), candidates.ids.end(), id), candidates.ids.end()) << id;
    EXPECT_LE(total_variation(shares, candidates), 2 * setting["expected_tv_400"].get<double>() + 1e-6);
  });
}

}  // namespace nibble
