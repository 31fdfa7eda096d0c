#include <numeric>
#include <random>
#include <thread>

#include "cpu_session.hpp"
#include "expect_error.hpp"
#include "export/checkpoint_graph.hpp"

// The runner of the CPU device: a sequence's logits depend on the sequence alone, bit for bit.

namespace nibble {

using test::fails;
using test::IrFixture;

namespace {

using Tokens = std::vector<int64_t>;
using Row = std::vector<float>;

/// Of an IR, or of a checkpoint in models/.
Graph graph_of(const std::string& name) {
  if (name.starts_with("models/")) return build_checkpoint_graph(test::data_path(name), FloatFormat::stored);
  return IrFixture(test::data_path("ir/" + name)).graph();
}

Tokens random_tokens(size_t count, unsigned seed) {
  std::mt19937 random(seed);
  Tokens tokens(count);
  for (int64_t& id : tokens) id = static_cast<int64_t>(random() % 256);
  return tokens;
}

std::vector<Row> rows_of(const Tensor& logits) {
  std::vector<Row> rows;
  for (int64_t i = 0; i < logits.shape()[0]; ++i) rows.push_back(test::logits_row(logits, static_cast<size_t>(i)));
  return rows;
}

/// Logits of the last token of each span.
std::vector<Row> run(ModelRunner& runner, const std::vector<TokenSpan>& batch) { return rows_of(runner.forward(batch)); }

/// Models whose plans differ in what may depend on other rows: int4 groups, experts, ALiBi, a window, float weights, convolutions.
class CpuRunner : public testing::TestWithParam<const char*> {
 protected:
  std::shared_ptr<const CompiledModel> model_ = test::compile_on_cpu(graph_of(GetParam()), context());
  std::unique_ptr<ModelRunner> runner_ = make_runner(model_);

  static Context& context() {
    static Context shared({.threads = 2, .log = {}});
    return shared;
  }
  /// The last row of a sequence that is run in these steps by a runner of its own.
  Row alone(const std::vector<Tokens>& steps) const {
    auto runner = make_runner(model_);
    Row last;
    for (const Tokens& step : steps) last = run(*runner, {{1, step}}).at(0);
    return last;
  }

  const Tokens a_ = random_tokens(19, 1), b_ = random_tokens(7, 2), c_ = random_tokens(40, 3), next_{77}, other_{5};
};

std::string model_name(const testing::TestParamInfo<const char*>& info) {
  std::string name = info.param;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return c == '-' || c == '/'; }, '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Models, CpuRunner,
                         testing::Values("llama-gqa-int4-sym-g32", "mixtral-int8", "qwen3_moe-int4-sym-channel", "bloom-int8",
                                         "mistral-sliding-int4-sym-g32", "phi3-longrope-long-fp32", "gpt2-int8", "llama-gqa-nvfp4",
                                         "models/gpt_oss", "models/phimoe", "models/deepseek_v3", "models/lfm2"),
                         model_name);

/// Prompts that go through the plan in several passes.
class CpuLongPrompt : public CpuRunner {};

INSTANTIATE_TEST_SUITE_P(Models, CpuLongPrompt,
                         testing::Values("llama-gqa-int4-sym-g32", "mixtral-int8", "bloom-int8", "mistral-sliding-int4-sym-g32",
                                         "models/deepseek_v3", "models/lfm2"),
                         model_name);

TEST_P(CpuRunner, PromptsTogetherGiveTheBitsOfPromptsAlone) {
  std::vector<Row> together = run(*runner_, {{1, a_}, {2, b_}, {3, c_}});
  EXPECT_EQ(together[0], alone({a_}));
  EXPECT_EQ(together[1], alone({b_}));
  EXPECT_EQ(together[2], alone({c_}));
}

TEST_P(CpuRunner, OrderInTheBatchDoesNotMatter) {
  std::vector<Row> together = run(*runner_, {{1, a_}, {2, b_}, {3, c_}}), reversed = run(*make_runner(model_), {{3, c_}, {2, b_}, {1, a_}});
  EXPECT_EQ(together[0], reversed[2]);
  EXPECT_EQ(together[1], reversed[1]);
  EXPECT_EQ(together[2], reversed[0]);
}

TEST_P(CpuRunner, SingleTokensTogetherGiveTheBitsOfTokensAlone) {
  std::vector<TokenSpan> prompts, tokens;
  for (SequenceId s = 0; s < 9; ++s) {
    prompts.push_back({s, std::span(c_).first(3 + 4 * s)});
    tokens.push_back({s, s % 2 ? next_ : other_});
  }
  runner_->forward(prompts);
  std::vector<Row> together = run(*runner_, tokens);
  for (size_t s = 0; s < 9; ++s)
    EXPECT_EQ(together[s], alone({Tokens(c_.begin(), c_.begin() + static_cast<std::ptrdiff_t>(3 + 4 * s)), s % 2 ? next_ : other_})) << s;
}

TEST_P(CpuRunner, PromptsDoNotDisturbSingleTokens) {
  runner_->forward(std::vector<TokenSpan>{{1, a_}});
  std::vector<Row> mixed = run(*runner_, {{2, c_}, {1, next_}, {3, b_}});
  EXPECT_EQ(mixed[0], alone({c_}));
  EXPECT_EQ(mixed[1], alone({a_, next_}));
  EXPECT_EQ(mixed[2], alone({b_}));
}

TEST_P(CpuRunner, TheNumberOfThreadsDoesNotMatter) {
  Row expected = alone({c_, next_});
  for (int threads : {1, 3, 8}) {
    Context other({.threads = threads, .log = {}});
    auto runner = make_runner(test::compile_on_cpu(graph_of(GetParam()), other));
    run(*runner, {{1, c_}, {2, a_}});
    EXPECT_EQ(run(*runner, {{2, next_}, {1, next_}})[1], expected) << threads << " threads";
  }
}

TEST_P(CpuRunner, AllLogitsEndWithTheLastOnes) {
  std::vector<Row> last = run(*runner_, {{1, a_}, {2, b_}});
  auto runner = make_runner(model_);
  std::vector<Row> all = rows_of(runner->forward(std::vector<TokenSpan>{{1, a_, true}, {2, b_, true}}));
  ASSERT_EQ(all.size(), a_.size() + b_.size());
  EXPECT_EQ(all[a_.size() - 1], last[0]);
  EXPECT_EQ(all.back(), last[1]);
}

TEST_P(CpuRunner, SpansWithAllLogitsAndWithTheLastOnesMix) {
  std::vector<Row> mixed = rows_of(runner_->forward(std::vector<TokenSpan>{{1, a_}, {2, b_, true}, {3, c_}}));
  ASSERT_EQ(mixed.size(), b_.size() + 2);
  EXPECT_EQ(mixed[0], alone({a_}));
  EXPECT_EQ(mixed[b_.size()], alone({b_}));
  EXPECT_EQ(mixed.back(), alone({c_}));
}

TEST_P(CpuLongPrompt, IsCutAlikeAloneAndAmongOthers) {
  Tokens prompt = random_tokens(1500, 4);
  std::vector<Row> together = run(*runner_, {{1, a_}, {2, prompt}, {3, b_}});
  EXPECT_EQ(together[0], alone({a_}));
  EXPECT_EQ(together[1], alone({prompt}));
  EXPECT_EQ(together[2], alone({b_}));
  std::vector<Row> after = run(*runner_, {{2, next_}, {1, next_}});
  EXPECT_EQ(after[0], alone({prompt, next_}));
  EXPECT_EQ(after[1], alone({a_, next_}));
}

TEST_P(CpuRunner, BothBranchesOfAForkGoOn) {
  runner_->forward(std::vector<TokenSpan>{{1, a_}});
  runner_->fork(1, 2);
  std::vector<Row> both = run(*runner_, {{1, next_}, {2, other_}});
  EXPECT_EQ(both[0], alone({a_, next_}));
  EXPECT_EQ(both[1], alone({a_, other_}));
  both = run(*runner_, {{2, other_}, {1, next_}});
  EXPECT_EQ(both[0], alone({a_, other_, other_}));
  EXPECT_EQ(both[1], alone({a_, next_, next_}));
}

TEST_P(CpuRunner, AForkOutlivesWhatItCameFrom) {
  runner_->forward(std::vector<TokenSpan>{{1, a_}});
  runner_->fork(1, 2);
  runner_->release(1);
  EXPECT_EQ(run(*runner_, {{1, b_}})[0], alone({b_}));
  EXPECT_EQ(run(*runner_, {{2, next_}})[0], alone({a_, next_}));
}

TEST_P(CpuRunner, AForkReplacesItsTarget) {
  runner_->forward(std::vector<TokenSpan>{{1, a_}, {2, c_}});
  runner_->fork(1, 2);
  EXPECT_EQ(run(*runner_, {{2, next_}})[0], alone({a_, next_}));
}

TEST_P(CpuRunner, ForksOfUnknownSequencesAreEmpty) {
  runner_->forward(std::vector<TokenSpan>{{2, c_}});
  runner_->fork(9, 2);
  EXPECT_EQ(run(*runner_, {{2, a_}})[0], alone({a_}));
}

TEST_P(CpuRunner, ASequenceMayAppearTwiceInABatch) {
  std::vector<Row> rows = run(*runner_, {{1, a_}, {2, b_}, {1, next_}, {1, b_}});
  EXPECT_EQ(rows[0], alone({a_}));
  EXPECT_EQ(rows[1], alone({b_}));
  EXPECT_EQ(rows[2], alone({a_, next_}));
  EXPECT_EQ(rows[3], alone({a_, next_, b_}));
}

/// One model is enough for what does not depend on it.
class CpuBatch : public CpuRunner {
 protected:
  void expect_unchanged(const Tokens& sequence) {
    EXPECT_EQ(run(*runner_, {{1, next_}})[0], alone({sequence, next_}));
    EXPECT_EQ(run(*runner_, {{2, b_}})[0], alone({b_})) << "the sequence that was new is unknown again";
  }
};

INSTANTIATE_TEST_SUITE_P(Models, CpuBatch, testing::Values("llama-gqa-int4-sym-g32"), [](const auto&) { return "llama"; });

TEST_P(CpuBatch, ReleasedSequencesStartAgain) {
  runner_->forward(std::vector<TokenSpan>{{1, a_}, {2, b_}});
  runner_->release(1);
  runner_->release(42);
  EXPECT_EQ(run(*runner_, {{1, c_}})[0], alone({c_}));
  EXPECT_EQ(run(*runner_, {{2, next_}})[0], alone({b_, next_}));
}

TEST_P(CpuBatch, AnEmptyBatchGivesNoRows) { EXPECT_EQ(runner_->forward({}).size(), 0u); }

TEST_P(CpuBatch, EmptySpansAreRefused) {
  runner_->forward(std::vector<TokenSpan>{{1, a_}});
  Tokens none;
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"no tokens"}, [&] { run(*runner_, {{1, next_}, {2, none}}); }));
  expect_unchanged(a_);
}

TEST_P(CpuBatch, IdsThatNoTokenHasAreRefused) {
  runner_->forward(std::vector<TokenSpan>{{1, a_}});
  for (int64_t id : {int64_t{-1}, int64_t{1} << 31, std::numeric_limits<int64_t>::min()}) {
    Tokens bad{3, id};
    EXPECT_TRUE(fails(ErrorKind::invalid_argument, {std::to_string(id)}, [&] { run(*runner_, {{1, next_}, {2, bad}}); }));
  }
  expect_unchanged(a_);
}

TEST_P(CpuBatch, IdsBeyondTheVocabularyLeaveTheSequencesAsTheyWere) {
  runner_->forward(std::vector<TokenSpan>{{1, a_}});
  Tokens bad{3, 256};
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"256"}, [&] { run(*runner_, {{1, next_}, {2, bad}}); }));
  expect_unchanged(a_);
}

/// The bad token is in the second pass: the first one has gone through all layers and its keys are in the cache.
TEST_P(CpuBatch, AFailureAfterAPassLeavesTheSequencesAsTheyWere) {
  runner_->forward(std::vector<TokenSpan>{{1, a_}});
  Tokens bad = random_tokens(1400, 5);
  bad[1300] = 4000;
  EXPECT_THROW(run(*runner_, {{1, next_}, {2, bad}}), Error);
  EXPECT_THROW(run(*runner_, {{2, b_}, {1, bad}}), Error);
  expect_unchanged(a_);
}

TEST_P(CpuBatch, AFailureLeavesForksAsTheyWere) {
  runner_->forward(std::vector<TokenSpan>{{1, a_}});
  runner_->fork(1, 3);
  Tokens bad{3, 256};
  EXPECT_THROW(run(*runner_, {{3, bad}, {1, next_}}), Error);
  EXPECT_EQ(run(*runner_, {{3, other_}})[0], alone({a_, other_}));
  expect_unchanged(a_);
}

/// GPT-2 has a row of positions for each of 64 tokens.
TEST_P(CpuBatch, SequencesBeyondLearnedPositionsStayAsTheyWere) {
  runner_ = make_runner(model_ = test::compile_on_cpu(graph_of("gpt2-int8"), context()));
  runner_->forward(std::vector<TokenSpan>{{1, a_}});
  EXPECT_THROW(run(*runner_, {{2, b_}, {1, random_tokens(64, 6)}}), Error);
  expect_unchanged(a_);
}

TEST_P(CpuBatch, RunnersOfAModelHaveTheirOwnSequences) {
  auto other = make_runner(model_);
  runner_->forward(std::vector<TokenSpan>{{1, a_}});
  EXPECT_EQ(run(*other, {{1, b_}})[0], alone({b_}));
  EXPECT_EQ(run(*runner_, {{1, next_}})[0], alone({a_, next_}));
}

TEST_P(CpuBatch, RunnersOutliveTheModel) {
  Row expected = alone({a_});
  model_.reset();
  EXPECT_EQ(run(*runner_, {{1, a_}})[0], expected);
}

TEST_P(CpuBatch, LogitsOutliveLaterRuns) {
  Tensor kept = runner_->forward(std::vector<TokenSpan>{{1, a_}});
  runner_->forward(std::vector<TokenSpan>{{1, next_}, {2, c_}});
  EXPECT_EQ(rows_of(kept).at(0), alone({a_}));
}

TEST_P(CpuBatch, RunnersOfAModelMayRunAtTheSameTime) {
  Row expected = alone({c_});
  auto work = [&](Row& result) {
    auto runner = make_runner(model_);
    for (int i = 0; i < 20; ++i) {
      result = run(*runner, {{1, c_}}).at(0);
      runner->release(1);
    }
  };
  Row first, second;
  std::thread other([&] { work(first); });
  work(second);
  other.join();
  EXPECT_EQ(first, expected);
  EXPECT_EQ(second, expected);
}

/// Every instruction set, with the default precision and with floats throughout.
class CpuIsaRunner : public testing::TestWithParam<std::tuple<cpu::Isa, bool, const char*>> {
 protected:
  std::shared_ptr<const CompiledModel> model() {
    const auto& [isa, is_exact, name] = GetParam();
    test::ForcedIsa forced(isa);
    return test::compile_on_cpu(graph_of(name), context_, is_exact ? test::exact() : Properties());
  }
  Context context_{{.threads = 2, .log = {}}};
};

std::string isa_and_model_name(const testing::TestParamInfo<std::tuple<cpu::Isa, bool, const char*>>& info) {
  const auto& [isa, is_exact, name] = info.param;
  std::string text = std::string(to_string(isa)) + (is_exact ? "_exact_" : "_default_") + name;
  std::replace(text.begin(), text.end(), '-', '_');
  return text;
}

INSTANTIATE_TEST_SUITE_P(Isas, CpuIsaRunner,
                         testing::Combine(testing::ValuesIn(cpu::available_isas()), testing::Bool(),
                                          testing::Values("llama-gqa-int4-sym-g32", "mixtral-int8", "phi3-longrope-long-fp32")),
                         isa_and_model_name);

TEST_P(CpuIsaRunner, ABatchGivesTheBitsOfItsSequencesAlone) {
  auto shared = model();
  auto batched = make_runner(shared);
  Tokens prompt = random_tokens(70, 7), next{77};
  std::vector<TokenSpan> prompts, tokens;
  for (SequenceId s = 0; s < 13; ++s) {
    prompts.push_back({s, std::span(prompt).first(1 + 5 * s)});
    tokens.push_back({s, next});
  }
  std::vector<Row> first = run(*batched, prompts), second = run(*batched, tokens);
  for (SequenceId s = 0; s < 13; ++s) {
    auto alone = make_runner(shared);
    EXPECT_EQ(run(*alone, {prompts[s]})[0], first[s]) << prompts[s].tokens.size() << " tokens";
    EXPECT_EQ(run(*alone, {tokens[s]})[0], second[s]) << prompts[s].tokens.size() << " tokens and one";
  }
}

}  // namespace
}  // namespace nibble
