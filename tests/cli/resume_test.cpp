// Exports that are killed, interrupted or out of space, and what the next one makes of it.
#include <gmock/gmock.h>
#include <sys/mount.h>

#include <chrono>
#include <fstream>
#include <random>
#include <thread>

#include "command.hpp"
#include "large_checkpoint.hpp"

namespace nibble {

using test::Command;
using test::file_text;
using test::LargeCheckpoint;
using test::listing;
using test::nib;
using test::nibble;
using test::Outcome;
using testing::AllOf;
using testing::Each;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

namespace {

namespace fs = std::filesystem;

constexpr int kInterrupted = 130;

/// What an export without disturbance makes of a model of 50 MB, and room for those with.
class ResumedExport : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    model_ = new LargeCheckpoint({.hidden = 512, .inner = 2048, .layers = 6}, LargeCheckpoint::Values::random);
  }
  static void TearDownTestSuite() { delete model_; }

  std::vector<std::string> arguments(const fs::path& output, const std::vector<std::string>& options) const {
    std::vector<std::string> all{"export", model_->path(), output, "--weight-format", "int4", "--json"};
    all.insert(all.end(), options.begin(), options.end());
    return all;
  }
  Outcome run(const std::vector<std::string>& options = {}) const { return nibble(arguments(output(), options)); }
  /// Starts an export and kills it after so many microseconds.
  void kill_after(int microseconds, const std::vector<std::string>& options = {}) const {
    Command command(arguments(output(), options));
    std::this_thread::sleep_for(std::chrono::microseconds(microseconds));
    command.kill();
    command.finish();
  }
  fs::path output() const { return scratch_ / "out"; }
  fs::path workshop() const { return scratch_ / "out.partial"; }
  void expect_whole(const std::vector<std::string>& options = {}) const {
    test::ScratchDirectory scratch;
    ASSERT_EQ(nibble(arguments(scratch / "out", options)).code, 0);
    ASSERT_EQ(listing(output()), listing(scratch / "out"));
    for (const std::string& file : listing(output())) EXPECT_TRUE(file_text(output() / file) == file_text(scratch / "out" / file)) << file;
    EXPECT_THAT(listing(scratch_.path()), Each(StartsWith("out"))) << "and nothing beside it";
    EXPECT_FALSE(fs::exists(workshop()));
  }

  static LargeCheckpoint* model_;
  test::ScratchDirectory scratch_;
};

LargeCheckpoint* ResumedExport::model_ = nullptr;

}  // namespace

TEST_F(ResumedExport, KilledAtAnyMomentItEndsWithTheSameBytes) {
  std::mt19937 random(7);
  for (int round = 0; round < 4; ++round) {
    for (int kills = 0; kills < 6 && !fs::exists(output()); ++kills) kill_after(static_cast<int>(random() % 250'000), {"--resume"});
    if (!fs::exists(output())) {
      Outcome done = run({"--resume"});
      ASSERT_EQ(done.code, 0) << done.err;
      EXPECT_THAT(done.err, IsEmpty());
    }
    fs::remove_all(workshop());  // one that was killed between its last two steps leaves it
    expect_whole();
    fs::remove_all(output());
  }
}

TEST_F(ResumedExport, KilledWithoutResumeItCanBeResumedToo) {
  for (int microseconds : {60'000, 120'000, 180'000}) {
    if (!fs::exists(output())) kill_after(microseconds);
  }
  if (!fs::exists(output())) {
    ASSERT_EQ(run({"--resume"}).code, 0);
  }
  fs::remove_all(workshop());
  expect_whole();
}

TEST_F(ResumedExport, WithoutResumeLeftoversAreCleared) {
  for (int microseconds : {40'000, 90'000, 140'000}) {
    kill_after(microseconds, {"--resume"});
    if (fs::exists(output())) fs::remove_all(output());
  }
  Outcome done = run();
  ASSERT_EQ(done.code, 0) << done.err;
  EXPECT_EQ(done.document()["kept_bytes"], 0);
  expect_whole();
}

/// On a model of half a gigabyte.
class InterruptedExport : public testing::Test {
 protected:
  std::vector<std::string> arguments(const std::vector<std::string>& options = {}) const {
    std::vector<std::string> all{"export", model_.path(), scratch_ / "out", "--weight-format", "int4", "--json", "-t", "1"};
    all.insert(all.end(), options.begin(), options.end());
    return all;
  }
  fs::path workshop() const { return scratch_ / "out.partial"; }
  /// Some slices are written and in the journal.
  bool has_begun() const {
    std::error_code ignored;
    return fs::file_size(workshop() / "journal", ignored) > 700 && !ignored;
  }
  Outcome interrupt(const std::vector<std::string>& options) const {
    Command command(arguments(options));
    command.wait_until([&] { return has_begun(); });
    command.interrupt();
    return command.finish();
  }
  LargeCheckpoint model_{{.hidden = 2048, .inner = 8192, .layers = 4}};
  test::ScratchDirectory scratch_;
};

TEST_F(InterruptedExport, KeepsWhatIsWrittenAndGoesOn) {
  Outcome stopped = interrupt({"--resume"});
  EXPECT_EQ(stopped.code, kInterrupted) << stopped.err;
  EXPECT_THAT(stopped.err, AllOf(HasSubstr(workshop().string()), HasSubstr("--resume goes on")));
  EXPECT_FALSE(fs::exists(scratch_ / "out"));
  Outcome done = nibble(arguments({"--resume"}));
  ASSERT_EQ(done.code, 0) << done.err;
  EXPECT_GT(done.document()["kept_bytes"], 0);
  EXPECT_THAT(listing(scratch_.path()), Each(StartsWith("out"))) << "and nothing beside it";
  EXPECT_FALSE(fs::exists(workshop()));
}

TEST_F(InterruptedExport, WithoutResumeKeepsNothing) {
  Outcome stopped = interrupt({});
  EXPECT_EQ(stopped.code, kInterrupted) << stopped.err;
  EXPECT_THAT(stopped.err, HasSubstr("nothing was left behind"));
  EXPECT_THAT(listing(scratch_.path()), IsEmpty());
}

TEST_F(InterruptedExport, OtherOptionsBeginAgain) {
  interrupt({"--resume"});
  Outcome done = nibble(arguments({"--resume", "--sym"}));
  ASSERT_EQ(done.code, 0) << done.err;
  EXPECT_THAT(done.err, AllOf(HasSubstr("other options"), HasSubstr("begun again")));
  EXPECT_EQ(done.document()["kept_bytes"], 0);
}

TEST_F(InterruptedExport, AnotherCheckpointBeginsAgain) {
  interrupt({"--resume"});
  fs::last_write_time(model_.file(), fs::last_write_time(model_.file()) + std::chrono::seconds(1));
  Outcome done = nibble(arguments({"--resume"}));
  ASSERT_EQ(done.code, 0) << done.err;
  EXPECT_THAT(done.err, HasSubstr("other files of the checkpoint"));
  EXPECT_EQ(done.document()["kept_bytes"], 0);
}

TEST_F(InterruptedExport, DamagedBytesAreMadeAgain) {
  interrupt({"--resume"});
  fs::path bin = workshop() / "output" / "openvino_model.bin";
  for (int64_t at : {100, 70'000, 2'000'000})
    std::fstream(bin, std::ios::in | std::ios::out | std::ios::binary).seekp(at).write("damage", 6);
  Outcome done = nibble(arguments({"--resume"}));
  ASSERT_EQ(done.code, 0) << done.err;
  test::ScratchDirectory other;
  ASSERT_EQ(nibble({"export", model_.path(), other / "out", "--weight-format", "int4"}).code, 0);
  EXPECT_TRUE(file_text(scratch_ / "out/openvino_model.bin") == file_text(other / "out/openvino_model.bin"));
}

TEST_F(InterruptedExport, TwoAtATimeAreRefused) {
  Command first(arguments());
  first.wait_until([&] { return has_begun(); });
  for (const auto& options : {std::vector<std::string>{}, {"--resume"}}) {
    Outcome second = nibble(arguments(options));
    EXPECT_EQ(second.code, 1);
    EXPECT_THAT(second.err, AllOf(StartsWith("nibble: error: "), HasSubstr("out.partial"), HasSubstr("another process")));
  }
  EXPECT_EQ(first.finish().code, 0);
}

/// A disk that is too small, if this process may make one.
class SmallDisk : public testing::Test {
 protected:
  void SetUp() override {
    if (::mount("none", disk_.path().c_str(), "tmpfs", 0, "size=2m") != 0) GTEST_SKIP() << "may not mount";
    is_mounted_ = true;
  }
  void TearDown() override {
    if (is_mounted_) ::umount(disk_.path().c_str());
  }
  test::ScratchDirectory disk_;
  bool is_mounted_ = false;
};

TEST_F(SmallDisk, AnExportThatDoesNotFitIsRefusedWithBothNumbers) {
  for (const char* format : {"fp16", "int8"}) {
    Outcome full = nibble({"export", nib(), disk_ / "out", "--weight-format", format});
    EXPECT_EQ(full.code, 1);
    EXPECT_THAT(full.err, AllOf(HasSubstr("MB are needed"), HasSubstr("MB are free")));
    EXPECT_THAT(listing(disk_.path()), IsEmpty());
  }
}

TEST_F(SmallDisk, FilesThatAreCopiedCount) {
  test::ScratchDirectory model;
  fs::copy(nib(), model / "nib", fs::copy_options::recursive);
  test::write_text(model / "nib/merges.txt", std::string(3'000'000, 'x'));
  Outcome full = nibble({"export", model / "nib", disk_ / "out", "--weight-format", "int4", "--group-size", "64"});
  EXPECT_EQ(full.code, 1);
  EXPECT_THAT(full.err, HasSubstr("MB are needed"));
  EXPECT_THAT(listing(disk_.path()), IsEmpty());
}

TEST_F(SmallDisk, ACompressionThatDoesNotFitIsRefusedToo) {
  test::ScratchDirectory model;
  ASSERT_EQ(nibble({"export", nib(), model / "ir", "--weight-format", "fp16"}).code, 0);
  test::write_text(model / "ir/notes.txt", std::string(3'000'000, 'x'));
  Outcome full = nibble({"compress", model / "ir", disk_ / "out", "--weight-format", "int4", "--group-size", "64"});
  EXPECT_EQ(full.code, 1);
  EXPECT_THAT(full.err, AllOf(HasSubstr("MB are needed"), HasSubstr("MB are free")));
  EXPECT_THAT(listing(disk_.path()), IsEmpty());
}

}  // namespace nibble
