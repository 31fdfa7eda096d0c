// Checkpoints that have too much, too little, or values that are none.
#include <gmock/gmock.h>

#include <limits>

#include "expect_error.hpp"
#include "ir/reader.hpp"
#include "nibble/export.hpp"
#include "tiny_checkpoint.hpp"

namespace nibble {

using test::fails;
using test::Tensors;
using test::TinyCheckpoint;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr const char* kUp = "model.layers.1.mlp.up_proj.weight";

class OddCheckpoint : public testing::Test {
 protected:
  ExportReport run(const TinyCheckpoint& checkpoint, const std::string& format = "") {
    ExportOptions options;
    if (!format.empty()) options.weight_format = format;
    if (format == "int4") options.group_size = 32;
    return export_model(checkpoint.path(), scratch_ / "out", options, context_);
  }
  std::string log_;
  /// Of the weights; that there is no tokenizer is another matter.
  Context context_{{.threads = 2, .log = [this](LogLevel level, std::string_view text) {
                      if (level == LogLevel::warning && text.find("tokenizer") == text.npos) log_ += std::string(text) + "\n";
                    }}};
  test::ScratchDirectory scratch_;
};

/// Replaces values of a tensor.
void put(Tensors& tensors, const std::string& name, const std::map<size_t, float>& values) {
  ElementType type = tensors[name].type();
  Tensor changed = convert(tensors[name], ElementType::f32).clone();
  for (auto [at, value] : values) changed.as_mutable<float>()[at] = value;
  tensors[name] = convert(changed, type);
}

void add(Tensors& tensors, const std::string& name) { tensors[name] = Tensor(ElementType::f16, {3}); }

}  // namespace

TEST_F(OddCheckpoint, TensorsThatNothingUsesAreNamed) {
  TinyCheckpoint checkpoint({}, ElementType::f16, [](Tensors& tensors) {
    add(tensors, "vision.patches.weight");
    add(tensors, "model.layers.2.mlp.up_proj.weight");
  });
  run(checkpoint);
  EXPECT_THAT(log_, AllOf(HasSubstr("no use for 2 tensors"), HasSubstr("'vision.patches.weight'"), HasSubstr("layers.2.mlp.up_proj")));
}

TEST_F(OddCheckpoint, OfManyTensorsSomeAreNamedAndAllCounted) {
  TinyCheckpoint checkpoint({}, ElementType::f16, [](Tensors& tensors) {
    for (int i = 10; i < 35; ++i) add(tensors, "extra." + std::to_string(i));
  });
  run(checkpoint);
  EXPECT_THAT(log_,
              AllOf(HasSubstr("no use for 25 tensors"), HasSubstr("'extra.19'"), Not(HasSubstr("'extra.20'")), HasSubstr("and 15 more")));
}

TEST_F(OddCheckpoint, BuffersThatNoModelNeedsAreNotWorthAWord) {
  TinyCheckpoint checkpoint({}, ElementType::f16, [](Tensors& tensors) {
    for (const char* name : {"model.layers.0.self_attn.rotary_emb.inv_freq", "model.rotary_emb.inv_freq", "h.0.attn.bias",
                             "h.0.attn.masked_bias", "gpt_neox.layers.0.attention.bias", "embeddings.position_ids"})
      add(tensors, name);
  });
  run(checkpoint);
  EXPECT_EQ(log_, "");
}

TEST_F(OddCheckpoint, TheHeadOfATiedModelIsNotWorthAWord) {
  TinyCheckpoint checkpoint({{"tie_word_embeddings", true}}, ElementType::f16, [](Tensors& tensors) {
    tensors["lm_head.weight"] = Tensor(ElementType::f16, {50, 64});
  });
  run(checkpoint);
  EXPECT_EQ(log_, "");
}

TEST_F(OddCheckpoint, AllMissingTensorsAreNamed) {
  TinyCheckpoint checkpoint({}, ElementType::f16, [](Tensors& tensors) {
    for (const char* name : {kUp, "model.layers.0.input_layernorm.weight", "model.embed_tokens.weight", "lm_head.weight"})
      tensors.erase(name);
  });
  EXPECT_TRUE(fails(ErrorKind::not_found,
                    {"model.safetensors", kUp, "model.layers.0.input_layernorm.weight", "model.embed_tokens.weight", "lm_head.weight",
                     "4 of the 21 tensors", "incomplete"},
                    [&] { run(checkpoint); }));
  EXPECT_THAT(test::listing(scratch_.path()), IsEmpty());
}

TEST_F(OddCheckpoint, AWrongShapeIsNamedWithBothShapes) {
  TinyCheckpoint checkpoint({}, ElementType::f16, [](Tensors& tensors) { tensors[kUp] = Tensor(ElementType::f16, {96, 60}); });
  EXPECT_TRUE(fails(ErrorKind::corrupt, {"model.safetensors", kUp, "[96,60]", "[96,64]"}, [&] { run(checkpoint); }));
}

TEST_F(OddCheckpoint, CompressionCountsWhatIsNoNumber) {
  for (const char* format : {"int8", "int4", "nf4", "mxfp4"}) {
    TinyCheckpoint checkpoint({}, ElementType::f16, [](Tensors& tensors) {
      put(tensors, kUp, {{5, kNan}, {64 * 95, kNan}, {200, kInfinity}, {201, -kInfinity}});
    });
    ExportOptions options;
    options.weight_format = format;
    if (format != std::string("int8")) options.group_size = 32;
    EXPECT_TRUE(fails(ErrorKind::corrupt, {"model.layers.1.mlp.up_proj", "4 values", "2 NaN", "2 infinite"}, [&] {
      export_model(checkpoint.path(), scratch_ / "out", options, context_);
    })) << format;
    EXPECT_THAT(test::listing(scratch_.path()), IsEmpty());
  }
}

TEST_F(OddCheckpoint, FloatsThatAreNoNumbersAreKeptWithAWarning) {
  for (const char* format : {"", "fp16", "fp32"})
    for (ElementType type : {ElementType::f16, ElementType::bf16, ElementType::f32}) {
      log_.clear();
      TinyCheckpoint checkpoint({}, type, [](Tensors& tensors) { put(tensors, kUp, {{5, kNan}, {64 * 95, kNan}, {64 * 96 - 1, kNan}}); });
      run(checkpoint, format);
      EXPECT_THAT(log_, AllOf(HasSubstr("model.layers.1.mlp.up_proj"), HasSubstr("(3)"), HasSubstr("not a number")))
          << format << to_string(type);
      std::filesystem::remove_all(scratch_ / "out");
    }
}

TEST_F(OddCheckpoint, SoAreThoseOfNorms) {
  TinyCheckpoint checkpoint({}, ElementType::bf16, [](Tensors& tensors) {
    put(tensors, "model.norm.weight", {{5, kNan}, {6, kInfinity}});
  });
  run(checkpoint);
  EXPECT_THAT(log_, AllOf(HasSubstr("model.norm.weight (2)"), HasSubstr("not a number")));
}

TEST_F(OddCheckpoint, ValuesBeyondFp16AreCounted) {
  for (ElementType type : {ElementType::bf16, ElementType::f32}) {
    log_.clear();
    TinyCheckpoint checkpoint({}, type, [](Tensors& tensors) { put(tensors, kUp, {{5, 1e6f}, {6, -1e9f}, {7, 65504.0f}}); });
    run(checkpoint, "fp16");
    std::string warning = type == ElementType::bf16 ? "up_proj.weight (3)" : "up_proj.weight (2)";  // 65504 in bf16 is 65536
    EXPECT_THAT(log_, AllOf(HasSubstr("too large for fp16"), HasSubstr(warning))) << to_string(type);
    std::filesystem::remove_all(scratch_ / "out");
  }
}

TEST_F(OddCheckpoint, OrdinaryOnesGiveNoWarnings) {
  for (const char* format : {"", "fp16", "fp32", "int8", "int4"}) {
    run(TinyCheckpoint({}, ElementType::bf16), format);
    EXPECT_EQ(log_, "") << format;
    std::filesystem::remove_all(scratch_ / "out");
  }
}

}  // namespace nibble
