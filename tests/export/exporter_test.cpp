#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>

#include "expect_error.hpp"
#include "ir/reader.hpp"
#include "nibble/export.hpp"
#include "tiny_checkpoint.hpp"

namespace nibble {

using test::fails;
using test::listing;
using test::TinyCheckpoint;
using testing::UnorderedElementsAre;

namespace {

using nlohmann::json;

/// Asks to stop at the n-th question.
class StopAfter : public Progress {
 public:
  explicit StopAfter(int questions) : left_(questions) {}
  void begin(std::string_view, uint64_t, std::string_view) override {}
  void advance(uint64_t) override {}
  void end() override {}
  bool cancelled() const override { return left_-- <= 0; }

 private:
  mutable std::atomic<int> left_;
};

class CountedProgress : public Progress {
 public:
  void begin(std::string_view, uint64_t total, std::string_view unit) override {
    if (unit == "bytes") total_ = total;
    ++open_;
  }
  void advance(uint64_t units) override { done_ += units; }
  void end() override { --open_; }

  uint64_t total_ = 0, done_ = 0;
  int open_ = 0;
};

class Exporter : public testing::Test {
 protected:
  ExportReport run(const std::filesystem::path& model, const ExportOptions& options = {}, Progress* progress = nullptr) {
    return export_model(model, output(), options, context_, progress);
  }
  std::filesystem::path output() const { return scratch_ / "out"; }
  Graph exported() const { return read_ir(output() / "openvino_model.xml"); }

  Context context_{{.threads = 2, .log = {}}};
  test::ScratchDirectory scratch_;
};

std::map<std::string, size_t> weight_types(const Graph& graph) {
  std::map<std::string, size_t> types;
  for (Node* node : graph.of_type("Constant"))
    if (element_count(node->output_info().shape.dims()) >= 1000) ++types[std::string(to_string(node->output_info().type))];
  return types;
}

ExportOptions format(const std::string& name) {
  ExportOptions options;
  options.weight_format = name;
  return options;
}

TEST_F(Exporter, WritesModelAndConfigs) {
  TinyCheckpoint checkpoint;
  run(checkpoint.path());
  EXPECT_THAT(listing(scratch_.path()), UnorderedElementsAre("out", "out/openvino_model.xml", "out/openvino_model.bin", "out/config.json",
                                                             "out/generation_config.json"));
  EXPECT_EQ(test::file_text(output() / "config.json"), test::file_text(checkpoint / "config.json"));
}

TEST_F(Exporter, CopiesTokenizerFilesAndChatTemplate) {
  TinyCheckpoint checkpoint;
  std::vector<std::string> names{
      "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
      "vocab.json",     "merges.txt",      "chat_template.jinja",   "generation_config.json"};
  for (const auto& name : names) test::write_text(checkpoint / name, "content of " + name);
  test::write_text(checkpoint / "README.md", "not needed to run the model");
  run(checkpoint.path());
  for (const auto& name : names) EXPECT_EQ(test::file_text(output() / name), "content of " + name);
  EXPECT_FALSE(std::filesystem::exists(output() / "README.md"));
}

TEST_F(Exporter, DerivesGenerationConfigWhereThereIsNone) {
  TinyCheckpoint checkpoint(json{{"pad_token_id", nullptr}});
  run(checkpoint.path());
  json expected{{"_from_model_config", true}, {"bos_token_id", 1}, {"eos_token_id", {2, 3}}};
  EXPECT_EQ(json::parse(test::file_text(output() / "generation_config.json")), expected);
}

TEST_F(Exporter, MakesParentDirectories) {
  TinyCheckpoint checkpoint;
  export_model(checkpoint.path(), scratch_ / "a" / "b" / "c", {}, context_);
  EXPECT_TRUE(std::filesystem::exists(scratch_ / "a" / "b" / "c" / "openvino_model.xml"));
}

TEST_F(Exporter, FillsAnEmptyDirectory) {
  TinyCheckpoint checkpoint;
  std::filesystem::create_directory(output());
  run(checkpoint.path());
  EXPECT_TRUE(std::filesystem::exists(output() / "openvino_model.bin"));
}

TEST_F(Exporter, LeavesAnExistingDirectoryUntouched) {
  TinyCheckpoint checkpoint;
  std::filesystem::create_directory(output());
  test::write_text(output() / "openvino_model.xml", "precious");
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {output().string(), "exists"}, [&] { run(checkpoint.path()); }));
  EXPECT_THAT(listing(scratch_.path()), UnorderedElementsAre("out", "out/openvino_model.xml"));
  EXPECT_EQ(test::file_text(output() / "openvino_model.xml"), "precious");
}

TEST_F(Exporter, LeavesAnExistingFileUntouched) {
  TinyCheckpoint checkpoint;
  test::write_text(output(), "precious");
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {output().string(), "exists"}, [&] { run(checkpoint.path()); }));
  EXPECT_EQ(test::file_text(output()), "precious");
}

TEST_F(Exporter, WillNotWriteIntoTheCheckpoint) {
  TinyCheckpoint checkpoint;
  auto before = listing(checkpoint.path());
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"exists"}, [&] { export_model(checkpoint.path(), checkpoint.path(), {}, context_); }));
  EXPECT_EQ(listing(checkpoint.path()), before);
}

TEST_F(Exporter, OutputBelowAFileIsAnError) {
  TinyCheckpoint checkpoint;
  test::write_text(scratch_ / "file", "");
  EXPECT_TRUE(
      fails(ErrorKind::invalid_argument, {"file"}, [&] { export_model(checkpoint.path(), scratch_ / "file" / "out", {}, context_); }));
  EXPECT_THAT(listing(scratch_.path()), UnorderedElementsAre("file"));
}

TEST_F(Exporter, ReadOnlyParentIsAnError) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may write everywhere";
  TinyCheckpoint checkpoint;
  std::filesystem::create_directory(scratch_ / "locked");
  ::chmod((scratch_ / "locked").c_str(), 0555);
  EXPECT_TRUE(
      fails(ErrorKind::invalid_argument, {"locked"}, [&] { export_model(checkpoint.path(), scratch_ / "locked" / "out", {}, context_); }));
  EXPECT_TRUE(listing(scratch_ / "locked").empty());
}

TEST_F(Exporter, CancelledAtAnyMomentLeavesNothing) {
  TinyCheckpoint checkpoint;
  ExportOptions options = format("int4");
  options.group_size = 32;
  options.ratio = 0.5;
  int questions = 0;
  for (bool finished = false; !finished; ++questions) {
    ASSERT_LT(questions, 1000) << "the export does not end";
    StopAfter progress(questions);
    try {
      export_model(checkpoint.path(), scratch_ / "new" / "out", options, context_, &progress);
      finished = true;
    } catch (const Error& error) {
      ASSERT_EQ(error.kind(), ErrorKind::cancelled) << error.what();
      ASSERT_THAT(listing(scratch_.path()), testing::IsEmpty()) << "after " << questions << " questions";
    }
  }
  EXPECT_GT(questions, 3);
}

TEST_F(Exporter, ProgressCountsAllBytesOfTheWeights) {
  TinyCheckpoint checkpoint;
  CountedProgress progress;
  ExportReport report = run(checkpoint.path(), format("int8"), &progress);
  EXPECT_EQ(progress.open_, 0);
  EXPECT_EQ(progress.done_, progress.total_);
  EXPECT_LE(progress.total_, report.weight_bytes);  // alignment is not counted
  EXPECT_GT(progress.total_, report.weight_bytes * 9 / 10);
}

TEST_F(Exporter, MissingTensorLeavesNothing) {
  TinyCheckpoint checkpoint({}, ElementType::f16, [](test::Tensors& tensors) { tensors.erase("model.layers.1.mlp.up_proj.weight"); });
  EXPECT_TRUE(fails(ErrorKind::not_found, {"model.safetensors", "model.layers.1.mlp.up_proj.weight"}, [&] { run(checkpoint.path()); }));
  EXPECT_TRUE(listing(scratch_.path()).empty());
}

TEST_F(Exporter, WrongShapeLeavesNothing) {
  TinyCheckpoint checkpoint({}, ElementType::f16, [](test::Tensors& t) { t["lm_head.weight"] = Tensor(ElementType::f16, {50, 63}); });
  EXPECT_TRUE(fails(ErrorKind::corrupt, {"model.safetensors", "lm_head.weight", "[50,63]"}, [&] { run(checkpoint.path()); }));
  EXPECT_TRUE(listing(scratch_.path()).empty());
}

TEST_F(Exporter, ImpossibleCompressionLeavesNothing) {
  TinyCheckpoint checkpoint;  // rows of 64 and 96 weights have no groups of 128
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"group size 128", "adjust"}, [&] { run(checkpoint.path(), format("int4")); }));
  EXPECT_TRUE(listing(scratch_.path()).empty());
}

TEST_F(Exporter, DirectoryWithoutModelIsNotFound) {
  EXPECT_TRUE(fails(ErrorKind::not_found, {"/nonexistent/model"}, [&] { run("/nonexistent/model"); }));
  EXPECT_TRUE(listing(scratch_.path()).empty());
}

TEST_F(Exporter, DirectoryWithoutWeightsIsNotFound) {
  TinyCheckpoint checkpoint;
  std::filesystem::remove(checkpoint / "model.safetensors");
  EXPECT_TRUE(fails(ErrorKind::not_found, {checkpoint.path().string(), "model.safetensors"}, [&] { run(checkpoint.path()); }));
  EXPECT_TRUE(listing(scratch_.path()).empty());
}

// 2 layers of (64 + 32 + 32 + 64 rows of 64, 2 * 96 rows of 64, 64 rows of 96), embedding and head of 50 rows of 64.
constexpr uint64_t kMatrixElements = 2 * (192 * 64 + 192 * 64 + 64 * 96) + 2 * 50 * 64;

TEST_F(Exporter, KeepsTheCheckpointsTypesUnlessAsked) {
  for (auto [type, name] : {std::pair(ElementType::f16, "f16"), {ElementType::bf16, "bf16"}, {ElementType::f32, "f32"}}) {
    TinyCheckpoint checkpoint({}, type);
    ExportReport report = run(checkpoint.path());
    EXPECT_EQ(weight_types(exported()), (std::map<std::string, size_t>{{name, 16}}));
    EXPECT_EQ(report.weight_bytes, std::filesystem::file_size(output() / "openvino_model.bin"));
    std::filesystem::remove_all(output());
  }
}

TEST_F(Exporter, StoresFloatsAsAsked) {
  TinyCheckpoint checkpoint({}, ElementType::bf16);
  for (auto [name, type, bytes] : {std::tuple("fp32", "f32", 4), {"fp16", "f16", 2}}) {
    ExportReport report = run(checkpoint.path(), format(name));
    EXPECT_EQ(weight_types(exported()), (std::map<std::string, size_t>{{type, 16}}));
    EXPECT_EQ(report.format, name);
    EXPECT_NEAR(static_cast<double>(report.weight_bytes), static_cast<double>(kMatrixElements) * bytes, 4096);
    std::filesystem::remove_all(output());
  }
}

TEST_F(Exporter, Int8StoresBytesAsymmetricUnlessAsked) {
  TinyCheckpoint checkpoint;
  ExportOptions symmetric = format("int8");
  symmetric.sym = true;
  for (auto [options, type] : {std::pair(format("int8"), "u8"), {symmetric, "i8"}}) {
    ExportReport report = run(checkpoint.path(), options);
    EXPECT_EQ(weight_types(exported()), (std::map<std::string, size_t>{{type, 16}}));
    EXPECT_NEAR(static_cast<double>(report.weight_bytes), static_cast<double>(kMatrixElements), 8192);
    std::filesystem::remove_all(output());
  }
}

TEST_F(Exporter, Int4KeepsEmbeddingAndHeadInInt8) {
  TinyCheckpoint checkpoint;
  ExportOptions symmetric = format("int4");
  symmetric.sym = true;
  for (auto [options, type] : {std::pair(format("int4"), "u4"), {symmetric, "i4"}}) {
    options.group_size = 32;
    ExportReport report = run(checkpoint.path(), options);
    EXPECT_EQ(weight_types(exported()), (std::map<std::string, size_t>{{type, 14}, {"u8", 2}}));
    EXPECT_THAT(report.format, testing::HasSubstr("group size 32"));
    EXPECT_EQ(report.layers.at("int8_asym"), 2u);
    std::filesystem::remove_all(output());
  }
}

TEST_F(Exporter, Int4TakesAllLayersOnRequest) {
  TinyCheckpoint checkpoint;
  ExportOptions options = format("int4");
  options.group_size = -1;
  options.all_layers = true;
  run(checkpoint.path(), options);
  EXPECT_EQ(weight_types(exported()), (std::map<std::string, size_t>{{"u4", 16}}));
}

TEST_F(Exporter, BackupPrecisionNoneLeavesEmbeddingAndHead) {
  TinyCheckpoint checkpoint;
  ExportOptions options = format("int4");
  options.group_size = 32;
  options.backup_precision = "none";
  run(checkpoint.path(), options);
  EXPECT_EQ(weight_types(exported()), (std::map<std::string, size_t>{{"u4", 14}, {"f16", 2}}));
}

TEST_F(Exporter, GroupSizeIsAdjustedOnRequest) {
  TinyCheckpoint checkpoint;
  ExportOptions options = format("int4");
  options.group_size_fallback = "adjust";
  run(checkpoint.path(), options);
  EXPECT_EQ(weight_types(exported()), (std::map<std::string, size_t>{{"u4", 14}, {"u8", 2}}));
}

TEST_F(Exporter, ReportSaysWhatWasDone) {
  TinyCheckpoint checkpoint;
  ExportReport report = run(checkpoint.path(), format("int8"));
  EXPECT_EQ(report.model_type, "llama");
  EXPECT_NEAR(static_cast<double>(report.parameters), static_cast<double>(kMatrixElements), 500);  // norms and tables beside
  EXPECT_EQ(report.weight_bytes, std::filesystem::file_size(output() / "openvino_model.bin"));
  EXPECT_DOUBLE_EQ(report.bits_per_weight, 8.0 * static_cast<double>(report.weight_bytes) / static_cast<double>(report.parameters));
  EXPECT_EQ(report.layers.at("int8_asym"), 16u);
}

TEST_F(Exporter, TheSameExportGivesTheSameBytes) {
  TinyCheckpoint checkpoint;
  ExportOptions options = format("int4");
  options.group_size = 32;
  run(checkpoint.path(), options);
  export_model(checkpoint.path(), scratch_ / "again", options, context_);
  for (const char* file : {"openvino_model.xml", "openvino_model.bin"})
    EXPECT_TRUE(test::file_text(output() / file) == test::file_text(scratch_ / "again" / file)) << file;
}

TEST_F(Exporter, RuntimeOptionsAreNoted) {
  TinyCheckpoint checkpoint;
  run(checkpoint.path());
  Graph graph = exported();
  const RtInfo* options = graph.rt_info().find("runtime_options");
  ASSERT_NE(options, nullptr);
  EXPECT_EQ(options->find("ACTIVATIONS_SCALE_FACTOR")->value, "8.0");
  EXPECT_EQ(options->find("KV_CACHE_PRECISION")->value, "f16");
}

struct Conflict {
  const char* name;
  void (*change)(ExportOptions&);
  ErrorKind kind;
  const char* part;
};

class ConflictingOptions : public testing::TestWithParam<Conflict> {};

TEST_P(ConflictingOptions, AreRefusedAndNothingIsWritten) {
  TinyCheckpoint checkpoint;
  test::ScratchDirectory scratch;
  Context context({.threads = 1, .log = {}});
  ExportOptions options;
  GetParam().change(options);
  EXPECT_TRUE(fails(GetParam().kind, {GetParam().part}, [&] { export_model(checkpoint.path(), scratch / "out", options, context); }));
  EXPECT_TRUE(listing(scratch.path()).empty());
}

constexpr auto kInvalid = ErrorKind::invalid_argument;
INSTANTIATE_TEST_SUITE_P(
    All, ConflictingOptions,
    testing::Values(
        Conflict{"sym_without_format", [](auto& o) { o.sym = true; }, kInvalid, "weight format"},
        Conflict{"group_size_without_format", [](auto& o) { o.group_size = 32; }, kInvalid, "weight format"},
        Conflict{"ratio_with_fp16", [](auto& o) { o.weight_format = "fp16", o.ratio = 0.5; }, kInvalid, "fp16"},
        Conflict{"all_layers_with_fp32", [](auto& o) { o.weight_format = "fp32", o.all_layers = true; }, kInvalid, "fp32"},
        Conflict{"group_size_with_int8", [](auto& o) { o.weight_format = "int8", o.group_size = 64; }, kInvalid, "int8"},
        Conflict{"ratio_with_int8", [](auto& o) { o.weight_format = "int8", o.ratio = 0.5; }, kInvalid, "int8"},
        Conflict{"all_layers_with_int8", [](auto& o) { o.weight_format = "int8", o.all_layers = true; }, kInvalid, "int8"},
        Conflict{"backup_with_int8", [](auto& o) { o.weight_format = "int8", o.backup_precision = "none"; }, kInvalid, "int8"},
        Conflict{"ratio_above_one", [](auto& o) { o.weight_format = "int4", o.ratio = 1.5; }, kInvalid, "ratio 1.5"},
        Conflict{"ratio_negative", [](auto& o) { o.weight_format = "int4", o.ratio = -0.5; }, kInvalid, "ratio -0.5"},
        Conflict{"group_size_zero", [](auto& o) { o.weight_format = "int4", o.group_size = 0; }, kInvalid, "group size 0"},
        Conflict{"group_size_of_mxfp4", [](auto& o) { o.weight_format = "mxfp4", o.group_size = 64; }, kInvalid, "mxfp4"},
        Conflict{"unknown_format", [](auto& o) { o.weight_format = "int5"; }, kInvalid, "int5"},
        Conflict{"unknown_backup", [](auto& o) { o.weight_format = "int4", o.backup_precision = "int7"; }, kInvalid, "int7"},
        Conflict{"unknown_fallback", [](auto& o) { o.weight_format = "int4", o.group_size_fallback = "guess"; }, kInvalid, "guess"},
        Conflict{"unknown_metric", [](auto& o) { o.weight_format = "int4", o.sensitivity_metric = "mood"; }, kInvalid, "mood"},
        Conflict{"unknown_task", [](auto& o) { o.task = "image-classification"; }, ErrorKind::unsupported, "image-classification"}),
    [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace nibble
