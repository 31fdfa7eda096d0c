#include <filesystem>

#include "export/checkpoint_graph.hpp"
#include "model_session.hpp"

namespace nibble {

using test::expected_tensor;
using test::ModelSession;

namespace {

namespace fs = std::filesystem;

constexpr double kTolerance = 1e-4;  // two float32 implementations differ by about 1e-5 on logits of up to 12

std::vector<std::string> checkpoints() {
  std::vector<std::string> found;
  for (const auto& entry : fs::directory_iterator(test::data_path("models")))
    if (entry.is_directory()) found.push_back(entry.path().filename().string());
  std::sort(found.begin(), found.end());
  return found;
}

class ReferenceOnCheckpoint : public testing::TestWithParam<std::string> {
 protected:
  fs::path directory() const { return test::data_path("models/" + GetParam()); }
  std::unique_ptr<WeightSource> expected() const { return open_safetensors(directory() / "expected.safetensors"); }
  ModelSession session() { return {build_checkpoint_graph(directory(), FloatFormat::stored), context_}; }

  Context context_;
};

int64_t best_token(const Tensor& logits) {
  auto last = logits.as<float>().last(static_cast<size_t>(logits.shape().back()));
  return std::max_element(last.begin(), last.end()) - last.begin();
}

TEST_P(ReferenceOnCheckpoint, PromptAndPaddedBatchAgreeWithTransformers) {
  auto reference = expected();
  ModelSession model = session();
  test::check_prompt(model, *reference, kTolerance);
  test::check_batch(model, *reference, kTolerance);
}

TEST_P(ReferenceOnCheckpoint, GreedyTokensThroughTheCacheAreThoseOfTransformers) {
  auto reference = expected();
  auto prompt = to_int64s(expected_tensor(*reference, "input_ids"));
  // Where rotary frequencies depend on the length, a cached run differs from full passes.
  auto wanted = to_int64s(expected_tensor(*reference, reference->contains("greedy_cached_ids") ? "greedy_cached_ids" : "greedy_ids"));
  ModelSession model = session();
  std::vector<int64_t> actual{best_token(model.extend(prompt, 0))};
  while (actual.size() < wanted.size()) actual.push_back(best_token(model.extend({actual.back()}, prompt.size() + actual.size() - 1)));
  EXPECT_EQ(actual, wanted);
}

TEST_P(ReferenceOnCheckpoint, FeedingThePromptInPiecesAgreesWithTransformers) {
  auto reference = expected();
  auto prompt = to_int64s(expected_tensor(*reference, "input_ids"));
  Tensor wanted = expected_tensor(*reference, reference->contains("chunk_logits") ? "chunk_logits" : "logits");
  ModelSession model = session();
  std::vector<float> logits;
  size_t past = 0;
  for (size_t piece : {16, 4, 1, 1, 1, 1}) {
    auto begin = prompt.begin() + static_cast<std::ptrdiff_t>(past);
    auto part = to_floats(model.extend({begin, begin + static_cast<std::ptrdiff_t>(piece)}, past));
    logits.insert(logits.end(), part.begin(), part.end());
    past += piece;
  }
  test::expect_logits(Tensor::from<float>(wanted.shape(), logits), wanted, kTolerance);
}

INSTANTIATE_TEST_SUITE_P(Models, ReferenceOnCheckpoint, testing::ValuesIn(checkpoints()), [](const auto& test) {
  std::string name = test.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

}  // namespace
}  // namespace nibble
