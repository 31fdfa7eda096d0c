#include <gtest/gtest.h>

#include <filesystem>

#include "cpu_session.hpp"
#include "export/checkpoint_graph.hpp"

// The CPU device on the graphs of GGUF files, against what transformers computes from the same numbers.

namespace nibble {

namespace {

namespace fs = std::filesystem;

constexpr double kTolerance = 1e-4;

std::vector<std::string> models() {
  std::vector<std::string> found;
  for (const auto& entry : fs::directory_iterator(test::data_path("gguf")))
    if (entry.is_directory()) found.push_back(entry.path().filename().string());
  std::sort(found.begin(), found.end());
  return found;
}

class CpuOnGguf : public testing::TestWithParam<std::string> {
 protected:
  void check(FloatFormat format, double tolerance) {
    fs::path directory = test::data_path("gguf/" + GetParam());
    auto model = test::compile_on_cpu(build_checkpoint_graph(directory, format), context_, test::exact());
    auto plan = model->plan();
    ASSERT_TRUE(plan);
    for (const PlanStep& step : plan->steps) EXPECT_FALSE(step.unfused) << step.kind << " " << step.node;
    auto expected = open_safetensors(directory / "expected.safetensors");
    test::ModelSession session(model);
    test::check_prompt(session, *expected, tolerance);
    test::check_batch(session, *expected, tolerance);
  }

  Context context_{{.threads = 2, .log = {}}};
};

}  // namespace

/// Types without codes that OpenVINO has become f32 here, so nothing is rounded.
TEST_P(CpuOnGguf, AgreesWithTransformersInFloat32) { check(FloatFormat::f32, kTolerance); }

/// Types that keep their codes are exact; those that do not (K-quants) are rounded to f16.
TEST_P(CpuOnGguf, AgreesWithTransformersAsStored) {
  bool is_rounded = GetParam().starts_with("llama-");
  check(FloatFormat::stored, is_rounded ? 0.2 : kTolerance);
}

INSTANTIATE_TEST_SUITE_P(Models, CpuOnGguf, testing::ValuesIn(models()), [](const auto& test) {
  std::string name = test.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

}  // namespace nibble
