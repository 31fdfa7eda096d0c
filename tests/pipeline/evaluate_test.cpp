#include "nibble/evaluate.hpp"

#include <gmock/gmock.h>

#include "expect_error.hpp"
#include "models.hpp"
#include "nibble/export.hpp"
#include "nibble/tokenizer.hpp"

namespace nibble {

using test::fails;

namespace {

using nlohmann::json;

std::string prefix_text() { return test::validation_text().substr(0, test::nib_reference()["text_bytes"]); }

class Evaluate : public testing::Test {
 protected:
  Evaluation run(std::string_view text, size_t window = 512, Progress* progress = nullptr) {
    return evaluate(model_, nullptr, test::nib(), text, window, progress);
  }
  std::shared_ptr<Context> context_ = test::two_threads();
  LanguageModel model_{test::nib(), {}, test::exact(), context_};
};

class RecordedProgress : public Progress {
 public:
  explicit RecordedProgress(bool cancel = false) : cancel_(cancel) {}
  void begin(std::string_view, uint64_t total, std::string_view) override { total_ = total, ++open_; }
  void advance(uint64_t units) override { done_ += units; }
  void end() override { --open_; }
  bool cancelled() const override { return cancel_; }

  uint64_t total_ = 0, done_ = 0;
  int open_ = 0;

 private:
  bool cancel_;
};

}  // namespace

TEST_F(Evaluate, PerplexityOfTheFirstWindowsIsThatOfTransformers) {
  json expected = test::nib_reference()["perplexity"];
  Perplexity found = run(prefix_text()).model;
  EXPECT_EQ(found.tokens, 6 * 512u);
  EXPECT_EQ(found.predicted_tokens, expected["predicted_tokens"].get<size_t>());
  EXPECT_NEAR(found.nll_per_token, expected["nll_per_token"].get<double>(), 1e-5);
  EXPECT_NEAR(found.perplexity, expected["perplexity"].get<double>(), 1e-5);
}

TEST_F(Evaluate, PerplexityOfTheWholeTextIsThatOfTransformers) {
  json expected = test::read_json(test::nib() / "eval/expected.json")["validation.txt"];
  Perplexity found = run(test::validation_text()).model;
  EXPECT_EQ(found.tokens, expected["tokens"].get<size_t>());
  EXPECT_EQ(found.predicted_tokens, expected["predicted_tokens"].get<size_t>());
  EXPECT_NEAR(found.perplexity, expected["perplexity"].get<double>(), 1e-4);
}

TEST_F(Evaluate, AModelDoesNotDivergeFromItself) {
  LanguageModel same(test::nib(), {}, test::exact(), context_);
  Evaluation found = evaluate(model_, &same, test::nib(), prefix_text().substr(0, 2000));
  ASSERT_TRUE(found.reference && found.divergence);
  EXPECT_EQ(found.reference->nll_per_token, found.model.nll_per_token);
  EXPECT_EQ(found.divergence->mean_kl, 0);
  EXPECT_EQ(found.divergence->top1_agreement, 1);
}

/// The figures of NNCF's compression are in models/nib/eval/compression.json; those of a part of the text are near them.
TEST_F(Evaluate, FourBitWeightsDivergeALittle) {
  test::ScratchDirectory scratch;
  ExportOptions options;
  options.weight_format = "int4";
  options.sym = true;
  options.group_size = 128;
  export_model(test::nib(), scratch / "int4", options, *context_);
  LanguageModel compressed(scratch / "int4", {}, {}, context_);
  json whole = test::read_json(test::nib() / "eval/compression.json")["int4_sym_g128"]["validation.txt"];
  Evaluation found = evaluate(compressed, &model_, test::nib(), prefix_text());
  EXPECT_NEAR(found.divergence->mean_kl, whole["kl_to_f32"].get<double>(), 0.005);
  EXPECT_NEAR(found.divergence->top1_agreement, whole["top1_agreement"].get<double>(), 0.02);
  EXPECT_GT(found.model.perplexity, found.reference->perplexity);
  EXPECT_LT(found.model.perplexity, 1.05 * found.reference->perplexity);
}

TEST_F(Evaluate, WindowsStartFromAnEmptyContext) {
  std::string text = prefix_text().substr(0, 600);
  size_t tokens = Tokenizer(test::nib()).encode(text, {.add_special_tokens = false}).ids.size();
  Perplexity long_windows = run(text, 64).model, short_windows = run(text, 8).model;
  EXPECT_EQ(short_windows.predicted_tokens, tokens - (tokens + 7) / 8) << "a window's first token is not predicted";
  EXPECT_GT(short_windows.nll_per_token, long_windows.nll_per_token) << "less context";
}

TEST_F(Evaluate, AWindowOfOneTokenAtTheEndIsLeftOut) {
  std::string text = "Once there was a little fox";
  size_t tokens = Tokenizer(test::nib()).encode(text, {.add_special_tokens = false}).ids.size();
  Perplexity found = run(text, tokens - 1).model;
  EXPECT_EQ(found.tokens, tokens);
  EXPECT_EQ(found.predicted_tokens, tokens - 2);
}

TEST_F(Evaluate, ProgressReachesItsTotal) {
  RecordedProgress progress;
  Evaluation found = run(prefix_text().substr(0, 600), 64, &progress);
  EXPECT_EQ(progress.total_, found.model.tokens);
  EXPECT_EQ(progress.done_, progress.total_);
  EXPECT_EQ(progress.open_, 0);
}

TEST_F(Evaluate, CanBeCancelled) {
  RecordedProgress progress(true);
  EXPECT_TRUE(fails(ErrorKind::cancelled, {"cancelled"}, [&] { run("Once there was a little fox", 4, &progress); }));
  EXPECT_EQ(progress.open_, 0);
}

TEST_F(Evaluate, RejectsWhatPredictsNothing) {
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"window of 1"}, [&] { run("Once there was", 1); }));
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"0 tokens", "at least 2"}, [&] { run(""); }));
}

TEST_F(Evaluate, ATokenizerIsNeeded) {
  test::ScratchDirectory empty;
  EXPECT_TRUE(fails(ErrorKind::not_found, {}, [&] { evaluate(model_, nullptr, empty.path(), "Once there was"); }));
}

}  // namespace nibble
