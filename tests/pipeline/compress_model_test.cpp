#include "nibble/compress.hpp"

#include <gmock/gmock.h>

#include "expect_error.hpp"
#include "models.hpp"
#include "nibble/export.hpp"
#include "scratch_directory.hpp"

namespace nibble {

using test::fails;
using test::file_text;
using test::listing;
using testing::HasSubstr;
using testing::Not;

namespace {

namespace fs = std::filesystem;

WeightOptions int4() {
  WeightOptions options;
  options.weight_format = "int4";
  options.group_size = 64;
  return options;
}

class CompressModel : public testing::Test {
 protected:
  void SetUp() override {
    ExportOptions options;
    options.weight_format = "fp16";
    export_model(test::nib(), ir(), options, *context_);
  }
  fs::path ir() const { return scratch_ / "ir"; }
  fs::path output() const { return scratch_ / "out"; }
  CompressReport run(const WeightOptions& options = int4(), Progress* progress = nullptr) {
    return compress_model(ir(), output(), options, *context_, progress);
  }
  testing::AssertionResult refuses(const WeightOptions& options, const std::vector<std::string>& parts) {
    return fails(ErrorKind::invalid_argument, parts, [&] { run(options); });
  }

  test::ScratchDirectory scratch_;
  std::shared_ptr<Context> context_ = test::two_threads();
};

TEST_F(CompressModel, GivesTheWeightsThatTheExportGives) {
  ExportOptions options;
  static_cast<WeightOptions&>(options) = int4();
  export_model(test::nib(), scratch_ / "exported", options, *context_);
  CompressReport report = run();
  EXPECT_EQ(file_text(output() / "openvino_model.bin"), file_text(scratch_ / "exported/openvino_model.bin"));
  EXPECT_EQ(report.layers, (std::map<std::string, uint64_t>{{"int4_asym", 28}, {"int8_asym", 1}}));
  EXPECT_EQ(report.weight_bytes, fs::file_size(output() / "openvino_model.bin"));
  EXPECT_EQ(report.original_bytes, fs::file_size(ir() / "openvino_model.bin"));
  EXPECT_EQ(report.format, "int4_asym, group size 64");
  EXPECT_GT(report.bits_per_weight, 4);
  EXPECT_LT(report.bits_per_weight, 6);
}

TEST_F(CompressModel, CopiesEverythingElse) {
  fs::create_directories(ir() / "extra/deeper");
  test::write_text(ir() / "extra/deeper/note.txt", "a note");
  fs::create_symlink(ir() / "config.json", ir() / "linked.json");
  run();
  EXPECT_THAT(listing(output()), testing::IsSupersetOf({"config.json", "linked.json", "tokenizer.json", "extra/deeper/note.txt"}));
  EXPECT_EQ(listing(output()).size(), listing(ir()).size());
  EXPECT_EQ(file_text(output() / "extra/deeper/note.txt"), "a note");
  EXPECT_FALSE(fs::is_symlink(output() / "linked.json"));
  EXPECT_EQ(file_text(output() / "tokenizer.json"), file_text(ir() / "tokenizer.json"));
}

TEST_F(CompressModel, KeepsTheModelsNotesAndAddsItsOwn) {
  run();
  std::string before = file_text(ir() / "openvino_model.xml"), after = file_text(output() / "openvino_model.xml");
  EXPECT_THAT(before, HasSubstr("KV_CACHE_PRECISION"));
  EXPECT_THAT(after, Not(HasSubstr("KV_CACHE_PRECISION")));
  EXPECT_THAT(after, HasSubstr("ACTIVATIONS_SCALE_FACTOR"));
  EXPECT_THAT(after, HasSubstr("weight_compression"));
}

TEST_F(CompressModel, TakesAnXmlAloneToADirectoryOrAnotherXml) {
  run();
  fs::path xml = ir() / "openvino_model.xml";
  compress_model(xml, scratch_ / "directory", int4(), *context_);
  EXPECT_EQ(listing(scratch_ / "directory"), (std::vector<std::string>{"openvino_model.bin", "openvino_model.xml"}));
  compress_model(xml, scratch_ / "small.xml", int4(), *context_);
  EXPECT_EQ(file_text(scratch_ / "small.bin"), file_text(output() / "openvino_model.bin"));
  EXPECT_TRUE(
      fails(ErrorKind::invalid_argument, {"small.xml", "exists"}, [&] { compress_model(xml, scratch_ / "small.xml", int4(), *context_); }));
}

TEST_F(CompressModel, LooksAtDataWhenAMethodAsksForIt) {
  test::write_text(scratch_ / "data.jsonl",
                   "{\"text\": \"Once there was a little fox who lived near the sea.\"}\n"
                   "{\"messages\": [{\"role\": \"user\", \"content\": \"Who are you?\"}]}\n{\"ids\": [5, 6, 7, 8]}\n");
  WeightOptions options = int4();
  options.gptq = true;
  options.dataset = scratch_ / "data.jsonl";
  options.num_samples = 3;
  CompressReport report = run(options);
  EXPECT_EQ(report.format, "int4_asym, group size 64, gptq");
  CompressReport plain = compress_model(ir(), scratch_ / "plain", int4(), *context_);
  EXPECT_EQ(report.layers, plain.layers);
  EXPECT_NE(file_text(output() / "openvino_model.bin"), file_text(scratch_ / "plain/openvino_model.bin"));
}

TEST_F(CompressModel, WhatIsCompressedAlreadyIsRefusedOrLeftAlone) {
  run();
  EXPECT_TRUE(
      fails(ErrorKind::invalid_argument, {"no float weights"}, [&] { compress_model(output(), scratch_ / "again", int4(), *context_); }));
  EXPECT_FALSE(fs::exists(scratch_ / "again"));
  WeightOptions partly = int4();
  partly.backup_precision = "none";
  compress_model(ir(), scratch_ / "partly", partly, *context_);
  WeightOptions int8;
  int8.weight_format = "int8";
  CompressReport rest = compress_model(scratch_ / "partly", scratch_ / "both", int8, *context_);
  EXPECT_EQ(rest.layers, (std::map<std::string, uint64_t>{{"int8_asym", 1}}));
}

TEST_F(CompressModel, RefusesWhatMakesNoSense) {
  EXPECT_TRUE(refuses({}, {"weight format"}));
  WeightOptions half;
  half.weight_format = "fp16";
  EXPECT_TRUE(refuses(half, {"int4"}));
  WeightOptions blind = int4();
  blind.gptq = true;
  EXPECT_TRUE(refuses(blind, {"gptq", "dataset"}));
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"export"}, [&] { compress_model(test::nib(), output(), int4(), *context_); }));
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"directory"}, [&] { compress_model(ir(), scratch_ / "a.xml", int4(), *context_); }));
  EXPECT_TRUE(fails(ErrorKind::not_found, {"nowhere"}, [&] { compress_model(scratch_ / "nowhere", output(), int4(), *context_); }));
  EXPECT_FALSE(fs::exists(output()));
}

TEST_F(CompressModel, NeverTouchesAnOutputThatExists) {
  fs::create_directory(output());
  test::write_text(output() / "mine.txt", "precious");
  EXPECT_TRUE(refuses(int4(), {"out", "exists"}));
  EXPECT_EQ(listing(output()), std::vector<std::string>{"mine.txt"});
}

class Cancelled : public Progress {
 public:
  void begin(std::string_view, uint64_t, std::string_view) override {}
  void advance(uint64_t) override {}
  void end() override {}
  bool cancelled() const override { return true; }
};

TEST_F(CompressModel, LeavesNothingBehindWhenCancelled) {
  Cancelled progress;
  EXPECT_TRUE(fails(ErrorKind::cancelled, {}, [&] { run(int4(), &progress); }));
  EXPECT_FALSE(fs::exists(output()));
}

}  // namespace
}  // namespace nibble
