#include "export/rope.hpp"

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/thread_pool.hpp"
#include "expect_error.hpp"
#include "export/blocks.hpp"
#include "passes/constant_folding.hpp"

namespace nibble {

using test::fails;

namespace {

using nlohmann::json;

struct RopeCase {
  std::string name;
  Rope rope;
  json expected;
};

void PrintTo(const RopeCase& c, std::ostream* out) { *out << c.name; }

Rope rope_of(const json& config) { return make_rope(ModelConfig(config, "config.json"), 16, 128); }

std::vector<RopeCase> all_cases() {
  std::ifstream file(std::string(NIBBLE_SOURCE_DIR) + "/tests/data/export/rope.json");
  json data = json::parse(file);
  std::vector<RopeCase> cases;
  for (const json& c : data["cases"])
    cases.push_back({c["name"], make_rope(ModelConfig(c["config"], c["name"]), data["head_dim"], data["max_positions"]), c});
  return cases;
}

std::vector<RopeCase> cases_with(const char* key) {
  auto cases = all_cases();
  std::erase_if(cases, [&](const RopeCase& c) { return !c.expected.contains(key); });
  return cases;
}

/// Both sides compute in float, in a different order of operations at most.
void expect_close(const std::vector<float>& actual, const std::vector<float>& expected) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) EXPECT_NEAR(actual[i], expected[i], 2e-6 * std::abs(expected[i])) << "entry " << i;
}

class RopeReference : public testing::TestWithParam<RopeCase> {};

TEST_P(RopeReference, InverseFrequenciesAreThoseOfTransformers) {
  expect_close(GetParam().rope.inverse_frequencies, GetParam().expected["inverse_frequencies"]);
}

TEST_P(RopeReference, AttentionFactorIsThatOfTransformers) {
  EXPECT_NEAR(GetParam().rope.attention_factor, GetParam().expected["attention_factor"].get<double>(), 1e-7);
}

auto name_of = [](const auto& test) { return test.param.name; };
INSTANTIATE_TEST_SUITE_P(Cases, RopeReference, testing::ValuesIn(all_cases()), name_of);

class LongRope : public testing::TestWithParam<RopeCase> {};

TEST_P(LongRope, SwitchesToTheLongFrequenciesOfTransformers) {
  EXPECT_EQ(GetParam().rope.switch_length, GetParam().expected["switch_length"].get<int64_t>());
  expect_close(GetParam().rope.long_inverse_frequencies, GetParam().expected["long_inverse_frequencies"]);
}

INSTANTIATE_TEST_SUITE_P(Cases, LongRope, testing::ValuesIn(cases_with("long_inverse_frequencies")), name_of);

/// cos and sin, each [1,1,S,dims], for positions 0 .. length-1.
std::pair<Tensor, Tensor> angles_of(const Rope& rope, int64_t length) {
  Graph graph;
  GraphBuilder b(graph);
  std::vector<int64_t> positions(static_cast<size_t>(length));
  for (int64_t i = 0; i < length; ++i) positions[static_cast<size_t>(i)] = i;
  Value ids = graph.add_constant(Tensor::from<int64_t>({1, length}, positions)).output();
  RotaryAngles angles = rotary_angles(b, ids, rope);
  graph.add("Result", {angles.cosine});
  graph.add("Result", {angles.sine});
  ThreadPool threads(1);
  fold_constants(graph, threads);
  auto results = graph.results();
  return {results[0]->input(0).node->constant().tensor(), results[1]->input(0).node->constant().tensor()};
}

/// The angles of the last of `length` positions, for these inverse frequencies. Positions are up to 1000 radians, whose float has
/// an error of 3e-5; the powers of a dynamic base add a little more.
void expect_last_angles(const Rope& rope, int64_t length, const std::vector<float>& frequencies, double tolerance) {
  auto [cosine, sine] = angles_of(rope, length);
  ASSERT_EQ(cosine.shape(), (Shape{1, 1, length, rope.dims}));
  size_t half = frequencies.size(), row = static_cast<size_t>(length - 1) * 2 * half;
  for (size_t i = 0; i < 2 * half; ++i) {
    double angle = static_cast<double>(length - 1) * frequencies[i % half];
    EXPECT_NEAR(cosine.as<float>()[row + i], std::cos(angle) * rope.attention_factor, tolerance) << "length " << length << ", cos " << i;
    EXPECT_NEAR(sine.as<float>()[row + i], std::sin(angle) * rope.attention_factor, tolerance) << "length " << length << ", sin " << i;
  }
}

TEST_P(RopeReference, GraphComputesCosAndSinOfTheReference) {
  expect_last_angles(GetParam().rope, 20, GetParam().expected["inverse_frequencies"], 1e-5);
}

TEST_P(LongRope, GraphSwitchesForAllPositionsBeyondTheOriginalLength) {
  const auto& [name, rope, expected] = GetParam();
  expect_last_angles(rope, rope.switch_length, expected["inverse_frequencies"], 1e-4);
  expect_last_angles(rope, rope.switch_length + 1, expected["long_inverse_frequencies"], 1e-4);
}

class DynamicRope : public testing::TestWithParam<RopeCase> {};

TEST_P(DynamicRope, GraphGrowsTheBaseWithTheLength) {
  for (const auto& [length, frequencies] : GetParam().expected["by_length"].items())
    expect_last_angles(GetParam().rope, std::stoll(length), frequencies, 1e-3);
}

INSTANTIATE_TEST_SUITE_P(Cases, DynamicRope, testing::ValuesIn(cases_with("by_length")), name_of);

TEST(Rope, DefaultThetaIsTheFamilys) {
  Rope rope = make_rope(ModelConfig(json::object(), "config.json"), 4, 128, 1000000.0);
  expect_close(rope.inverse_frequencies, {1.0f, 0.001f});
}

TEST(Rope, UnknownScalingNamesTheKnownOnes) {
  json config{{"rope_scaling", {{"rope_type", "spiral"}}}};
  EXPECT_TRUE(fails(ErrorKind::unsupported, {"config.json", "spiral", "llama3", "yarn"}, [&] { rope_of(config); }));
}

TEST(Rope, MissingFactorIsNamed) {
  for (const char* type : {"linear", "dynamic", "llama3", "yarn"}) {
    json config{{"rope_scaling", {{"rope_type", type}}}};
    EXPECT_TRUE(fails(ErrorKind::corrupt, {"rope_scaling", "factor"}, [&] { rope_of(config); })) << type;
  }
}

TEST(Rope, FactorsMustBePositive) {
  json config{{"rope_scaling", {{"rope_type", "linear"}, {"factor", 0.0}}}};
  EXPECT_TRUE(fails(ErrorKind::corrupt, {"factor", "positive"}, [&] { rope_of(config); }));
}

TEST(Rope, LongropeNeedsAFactorForEveryFrequency) {
  std::vector<double> seven(7, 1.0), eight(8, 1.0);
  json config{{"rope_scaling", {{"rope_type", "longrope"}, {"short_factor", eight}, {"long_factor", seven}}}};
  EXPECT_TRUE(fails(ErrorKind::corrupt, {"long_factor", "8", "7"}, [&] { rope_of(config); }));
}

TEST(Rope, RejectsWhatIsNoRotation) {
  for (json config : {json{{"partial_rotary_factor", 0.05}}, json{{"partial_rotary_factor", 1.5}}, json{{"partial_rotary_factor", 0.2}},
                      json{{"partial_rotary_factor", 1e300}}, json{{"rope_theta", 0}}, json{{"rope_theta", -10000.0}}})
    EXPECT_TRUE(fails(ErrorKind::corrupt, {"config.json"}, [&] { rope_of(config); })) << config;
}

TEST(Rope, DynamicScalingOfTwoDimensionsIsRefused) {
  json config{{"rope_scaling", {{"rope_type", "dynamic"}, {"factor", 2.0}}}};
  EXPECT_TRUE(fails(ErrorKind::unsupported, {"dynamic"}, [&] { make_rope(ModelConfig(config, "config.json"), 2, 128); }));
}

}  // namespace
}  // namespace nibble
