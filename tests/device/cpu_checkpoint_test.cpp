#include <gtest/gtest.h>

#include <filesystem>

#include "cpu_session.hpp"
#include "export/checkpoint_graph.hpp"

// The CPU device on the graphs that families make of their checkpoints.

namespace nibble {

namespace {

namespace fs = std::filesystem;

constexpr double kTolerance = 1e-4;  // two float32 implementations differ by about 1e-5 on logits of up to 12

std::vector<std::string> checkpoints() {
  std::vector<std::string> found;
  for (const auto& entry : fs::directory_iterator(test::data_path("models")))
    if (entry.is_directory() && entry.path().filename() != "llama-dynamic-long") found.push_back(entry.path().filename().string());
  std::sort(found.begin(), found.end());
  return found;
}

class CpuOnCheckpoint : public testing::TestWithParam<std::string> {
 protected:
  Context context_{{.threads = 2, .log = {}}};
};

}  // namespace

TEST_P(CpuOnCheckpoint, FusesEverythingAndAgreesWithTransformers) {
  fs::path directory = test::data_path("models/" + GetParam());
  auto model = test::compile_on_cpu(build_checkpoint_graph(directory, FloatFormat::stored), context_, test::exact());
  auto plan = model->plan();
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->obstacle, "");
  for (const PlanStep& step : plan->steps) EXPECT_FALSE(step.unfused) << step.kind << " " << step.node;
  auto expected = open_safetensors(directory / "expected.safetensors");
  test::ModelSession session(model);
  test::check_prompt(session, *expected, kTolerance);
  test::check_batch(session, *expected, kTolerance);
}

INSTANTIATE_TEST_SUITE_P(Models, CpuOnCheckpoint, testing::ValuesIn(checkpoints()), [](const auto& test) {
  std::string name = test.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

}  // namespace nibble
