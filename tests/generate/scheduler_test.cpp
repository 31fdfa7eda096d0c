#include "generate/scheduler.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>

#include "expect_error.hpp"
#include "scripted_runner.hpp"

namespace nibble {

using test::fails;
using test::ScriptedRunner;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

namespace {

using Tokens = std::vector<int64_t>;
constexpr size_t kMany = 100;

GenerationConfig ends_with(std::set<int64_t> eos) {
  GenerationConfig config;
  config.eos_token_ids = std::move(eos);
  return config;
}

void run_to_end(Scheduler& scheduler) {
  for (size_t steps = 0; scheduler.has_work(); ++steps) {
    ASSERT_LT(steps, 2 * kMany);
    scheduler.step();
  }
}

}  // namespace

TEST(Scheduler, FeedsThePromptThenEachTokenBack) {
  ScriptedRunner runner({{7, 8, 0}});
  GenerationConfig config = ends_with({0});
  Scheduler scheduler(runner);
  Sequence& sequence = scheduler.add(config, {3, 4}, 0, nullptr, kMany);
  run_to_end(scheduler);
  EXPECT_THAT(runner.batches,
              ElementsAre(ElementsAre(Pair(1, Tokens{3, 4})), ElementsAre(Pair(1, Tokens{7})), ElementsAre(Pair(1, Tokens{8}))));
  EXPECT_EQ(sequence.generated, (Tokens{7, 8, 0})) << "the token that ends an answer is part of it";
  EXPECT_EQ(sequence.state, SequenceState::stopped);
}

TEST(Scheduler, SequencesShareBatchesAndLeaveWhenTheyAreDone) {
  ScriptedRunner runner({{7, 0}, {8, 9, 0}});
  GenerationConfig config = ends_with({0});
  Scheduler scheduler(runner);
  Sequence& first = scheduler.add(config, {1}, 0, nullptr, kMany);
  Sequence& second = scheduler.add(config, {2, 2}, 0, nullptr, kMany);
  run_to_end(scheduler);
  EXPECT_THAT(runner.batches, ElementsAre(ElementsAre(Pair(1, Tokens{1}), Pair(2, Tokens{2, 2})),
                                          ElementsAre(Pair(1, Tokens{7}), Pair(2, Tokens{8})), ElementsAre(Pair(2, Tokens{9}))));
  EXPECT_EQ(first.generated, (Tokens{7, 0}));
  EXPECT_EQ(second.generated, (Tokens{8, 9, 0}));
}

TEST(Scheduler, ASequenceMayJoinARunningBatch) {
  ScriptedRunner runner({{7, 8, 0}, {9, 0}});
  GenerationConfig config = ends_with({0});
  Scheduler scheduler(runner);
  scheduler.add(config, {1}, 0, nullptr, kMany);
  scheduler.step();
  scheduler.add(config, {2, 3}, 0, nullptr, kMany);
  run_to_end(scheduler);
  EXPECT_THAT(runner.batches.at(1), ElementsAre(Pair(1, Tokens{7}), Pair(2, Tokens{2, 3})));
}

TEST(Scheduler, StepReturnsTheSequencesThatGotAToken) {
  ScriptedRunner runner({{0}, {7, 0}});
  GenerationConfig config = ends_with({0});
  Scheduler scheduler(runner);
  Sequence& first = scheduler.add(config, {1}, 0, nullptr, kMany);
  Sequence& second = scheduler.add(config, {1}, 0, nullptr, kMany);
  EXPECT_THAT(scheduler.step(), ElementsAre(&first, &second));
  EXPECT_THAT(scheduler.step(), ElementsAre(&second));
  EXPECT_FALSE(scheduler.has_work());
}

TEST(Scheduler, StopsAtTheLimit) {
  ScriptedRunner runner(std::vector<Tokens>{{7}});
  GenerationConfig config = ends_with({0});
  Scheduler scheduler(runner);
  Sequence& sequence = scheduler.add(config, {1}, 0, nullptr, 3);
  run_to_end(scheduler);
  EXPECT_EQ(sequence.generated, (Tokens{7, 7, 7}));
  EXPECT_EQ(sequence.state, SequenceState::too_long);
}

TEST(Scheduler, AnEndAtTheLimitIsAnEnd) {
  ScriptedRunner runner({{7, 0}});
  GenerationConfig config = ends_with({0});
  Scheduler scheduler(runner);
  Sequence& sequence = scheduler.add(config, {1}, 0, nullptr, 2);
  run_to_end(scheduler);
  EXPECT_EQ(sequence.state, SequenceState::stopped);
}

TEST(Scheduler, NothingRunsForALimitOfZero) {
  ScriptedRunner runner(std::vector<Tokens>{{7}});
  GenerationConfig config;
  Scheduler scheduler(runner);
  Sequence& sequence = scheduler.add(config, {1}, 0, nullptr, 0);
  EXPECT_FALSE(scheduler.has_work());
  EXPECT_EQ(sequence.state, SequenceState::too_long);
  EXPECT_THAT(sequence.generated, IsEmpty());
}

TEST(Scheduler, AnyOfSeveralEndTokensEnds) {
  ScriptedRunner runner({{7, 2}, {7, 3}});
  GenerationConfig config = ends_with({2, 3});
  Scheduler scheduler(runner);
  scheduler.add(config, {1}, 0, nullptr, kMany);
  scheduler.add(config, {1}, 0, nullptr, kMany);
  run_to_end(scheduler);
  EXPECT_EQ(runner.batches.size(), 2u);
}

TEST(Scheduler, IgnoreEosGoesOnButStopTokensStillEnd) {
  ScriptedRunner runner({{0, 7, 5, 7}});
  GenerationConfig config = ends_with({0});
  config.ignore_eos = true;
  config.stop_token_ids = {5};
  Scheduler scheduler(runner);
  Sequence& sequence = scheduler.add(config, {1}, 0, nullptr, kMany);
  run_to_end(scheduler);
  EXPECT_EQ(sequence.generated, (Tokens{0, 7, 5}));
  EXPECT_EQ(sequence.state, SequenceState::stopped);
}

TEST(Scheduler, ConfigsOfABatchAreIndependent) {
  ScriptedRunner runner({{5, 6}, {5, 6}});
  GenerationConfig first = ends_with({5}), second = ends_with({6});
  Scheduler scheduler(runner);
  Sequence& a = scheduler.add(first, {1}, 0, nullptr, kMany);
  Sequence& b = scheduler.add(second, {1}, 0, nullptr, kMany);
  run_to_end(scheduler);
  EXPECT_EQ(a.generated, (Tokens{5}));
  EXPECT_EQ(b.generated, (Tokens{5, 6}));
}

TEST(Scheduler, ScoresAreSumsOfLogProbabilities) {
  ScriptedRunner runner({{7, 0}});
  GenerationConfig config = ends_with({0});
  config.logprobs = 1;
  Scheduler scheduler(runner);
  Sequence& sequence = scheduler.add(config, {1}, 0, nullptr, kMany);
  run_to_end(scheduler);
  double each = 5 - std::log(std::exp(5.0) + ScriptedRunner::kVocab - 1);
  EXPECT_NEAR(sequence.score, 2 * each, 1e-5);
}

TEST(Scheduler, EverySequenceIsReleasedOnce) {
  ScriptedRunner runner({{0}, {7, 0}, {7}, {7}});
  GenerationConfig config = ends_with({0});
  {
    Scheduler scheduler(runner);
    scheduler.add(config, {1}, 0, nullptr, kMany);
    scheduler.add(config, {1}, 0, nullptr, kMany);
    scheduler.add(config, {1}, 0, nullptr, 3);
    Sequence& stopped = scheduler.add(config, {1}, 0, nullptr, kMany);
    scheduler.step();
    EXPECT_THAT(runner.released, ElementsAre(Pair(1, 1))) << "as soon as it is done";
    scheduler.stop(stopped);
    run_to_end(scheduler);
  }
  EXPECT_THAT(runner.released, ElementsAre(Pair(1, 1), Pair(2, 1), Pair(3, 1), Pair(4, 1)));
}

TEST(Scheduler, UnfinishedSequencesAreReleasedWithTheScheduler) {
  ScriptedRunner runner({{7}, {7}});
  GenerationConfig config = ends_with({0});
  {
    Scheduler scheduler(runner);
    scheduler.add(config, {1}, 0, nullptr, kMany);
    scheduler.step();
    scheduler.add(config, {1}, 0, nullptr, kMany);
    EXPECT_THAT(runner.released, IsEmpty());
  }
  EXPECT_THAT(runner.released, ElementsAre(Pair(1, 1), Pair(2, 1)));
}

TEST(Scheduler, AStoppedSequenceRunsNoMore) {
  ScriptedRunner runner({{7}, {8, 0}});
  GenerationConfig config = ends_with({0});
  Scheduler scheduler(runner);
  Sequence& first = scheduler.add(config, {1}, 0, nullptr, kMany);
  scheduler.add(config, {2}, 0, nullptr, kMany);
  scheduler.step();
  scheduler.stop(first);
  scheduler.step();
  EXPECT_EQ(first.generated, (Tokens{7}));
  EXPECT_EQ(first.state, SequenceState::stopped);
  EXPECT_THAT(runner.batches.at(1), ElementsAre(Pair(2, Tokens{8})));
}

TEST(Scheduler, ErrorsOfTheRunnerComeThroughAndSequencesAreReleased) {
  ScriptedRunner runner({{7}, {7}});
  runner.fail_at = 1;
  GenerationConfig config = ends_with({0});
  {
    Scheduler scheduler(runner);
    Sequence& sequence = scheduler.add(config, {1}, 0, nullptr, kMany);
    scheduler.add(config, {1}, 0, nullptr, kMany);
    scheduler.step();
    EXPECT_TRUE(fails(ErrorKind::device, {"the script says"}, [&] { scheduler.step(); }));
    EXPECT_EQ(sequence.generated, (Tokens{7})) << "a failed step adds nothing";
  }
  EXPECT_THAT(runner.released, ElementsAre(Pair(1, 1), Pair(2, 1)));
}

TEST(Scheduler, TimesAndTokenTimesGrow) {
  ScriptedRunner runner({{7, 7, 0}});
  GenerationConfig config = ends_with({0});
  Scheduler scheduler(runner);
  Sequence& sequence = scheduler.add(config, {1}, 0, nullptr, kMany);
  run_to_end(scheduler);
  ASSERT_EQ(sequence.token_times.size(), 3u);
  EXPECT_TRUE(std::is_sorted(sequence.token_times.begin(), sequence.token_times.end()));
  EXPECT_GT(scheduler.times().inference_ms, 0);
  EXPECT_GT(scheduler.times().sampling_ms, 0);
}

/// Sequences whose text matters; the script is in tokens of models/nib below 16: 5 "!", 7 "#", 13 ")", 15 "+".
class SchedulerText : public testing::Test {
 protected:
  Sequence& run(std::vector<int64_t> script, const GenerationConfig& config) {
    runner_.emplace(std::vector<Tokens>{std::move(script)});
    scheduler_.emplace(*runner_);
    Sequence& sequence = scheduler_->add(config, {1}, 0, &tokenizer_, kMany);
    run_to_end(*scheduler_);
    return sequence;
  }

  Tokenizer tokenizer_{std::string(NIBBLE_SOURCE_DIR) + "/models/nib"};
  std::optional<ScriptedRunner> runner_;
  std::optional<Scheduler> scheduler_;
};

TEST_F(SchedulerText, AStopStringEndsAnAnswerAndIsCutFromIt) {
  std::string text = tokenizer_.decode(Tokens{13, 15});
  GenerationConfig config = ends_with({0});
  config.stop_strings = {text};
  Sequence& sequence = run({5, 13, 15, 7}, config);
  EXPECT_EQ(sequence.generated, (Tokens{5}));
  EXPECT_EQ(sequence.token_times.size(), 3u);
  EXPECT_EQ(sequence.state, SequenceState::stopped);
}

TEST_F(SchedulerText, AStopStringMayBeKept) {
  GenerationConfig config = ends_with({0});
  config.stop_strings = {tokenizer_.decode(Tokens{13, 15})};
  config.include_stop_str_in_output = true;
  EXPECT_EQ(run({5, 13, 15, 7}, config).generated, (Tokens{5, 13, 15}));
}

TEST_F(SchedulerText, AStopStringMayEndWithTheLastAllowedToken) {
  GenerationConfig config = ends_with({0});
  config.stop_strings = {tokenizer_.decode(Tokens{7})};
  runner_.emplace(std::vector<Tokens>{{5, 7}});
  Scheduler scheduler(*runner_);
  Sequence& sequence = scheduler.add(config, {1}, 0, &tokenizer_, 2);
  run_to_end(scheduler);
  EXPECT_EQ(sequence.state, SequenceState::stopped);
}

}  // namespace nibble
