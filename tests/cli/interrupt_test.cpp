#include <gmock/gmock.h>

#include <chrono>
#include <thread>

#include "command.hpp"
#include "large_checkpoint.hpp"

namespace nibble {

using test::Command;
using test::listing;
using test::nib;
using test::Outcome;
using testing::HasSubstr;
using testing::IsEmpty;

namespace {

constexpr int kInterrupted = 130;

}  // namespace

TEST(Interrupt, AnExportLeavesNothingBehind) {
  test::LargeCheckpoint model({.hidden = 4096, .inner = 16384, .layers = 8});
  test::ScratchDirectory scratch;
  Command command({"export", model.path(), scratch / "out", "--weight-format", "int4", "--json"});
  command.wait_until([&] { return !std::filesystem::is_empty(scratch.path()); });
  command.interrupt();
  Outcome run = command.finish();
  EXPECT_EQ(run.code, kInterrupted) << run.err;
  EXPECT_THAT(run.err, HasSubstr("cancelled"));
  EXPECT_THAT(run.out, IsEmpty());
  EXPECT_THAT(listing(scratch.path()), IsEmpty());
}

TEST(Interrupt, AStreamedAnswerEnds) {
  Command command({"generate", nib(), "-p", "Tell me a story.", "--ignore-eos", "--max-new-tokens", "100000"});
  command.wait_until([&] { return !command.output().empty(); });
  command.interrupt();
  Outcome run = command.finish();
  EXPECT_EQ(run.code, kInterrupted) << run.err;
  EXPECT_THAT(run.out, testing::EndsWith("\n"));
}

TEST(Interrupt, AnAnswerThatIsNotStreamedEnds) {
  for (const char* form : {"--json", "--jsonl"}) {
    Command command({"generate", nib(), "--ignore-eos", "--max-new-tokens", "100000", form});
    command.write("{\"prompt\": \"Tell me a story.\"}\n");
    command.close_input();
    command.wait_until([&] { return command.handles_interrupts(); });
    std::this_thread::sleep_for(std::chrono::milliseconds(100));  // most likely it is at work then
    command.interrupt();
    Outcome run = command.finish();
    EXPECT_EQ(run.code, kInterrupted) << form << run.err;
    EXPECT_THAT(run.out, IsEmpty());
  }
}

TEST(Interrupt, WaitingForInputEnds) {
  for (const char* name : {"generate", "tokenize"}) {
    Command command({name, nib()});
    command.wait_until([&] { return command.handles_interrupts(); });
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    command.interrupt();
    EXPECT_EQ(command.finish().code, kInterrupted) << name;
  }
}

TEST(Interrupt, AnEvaluationEnds) {
  Command command({"eval", nib(), "--text", nib() + "/eval/validation.txt", "--window", "16", "--json", "--progress"});
  command.wait_until([&] { return !command.errors().empty(); });
  command.interrupt();
  Outcome run = command.finish();
  EXPECT_EQ(run.code, kInterrupted) << run.err;
  EXPECT_THAT(run.err, HasSubstr("cancelled"));
  EXPECT_THAT(run.out, IsEmpty());
}

}  // namespace nibble
