// Options of a compression that contradict each other, or say nothing: what the command answers.
#include <gmock/gmock.h>

#include "command.hpp"

namespace nibble {

using test::nib;
using test::nibble;
using test::Outcome;
using testing::HasSubstr;
using testing::IsEmpty;

namespace {

struct Case {
  std::vector<std::string> options;
  int code;
  const char* part;  ///< of the message
};

std::string line_of(const Case& c) {
  std::string text;
  for (const std::string& option : c.options) text += " " + option;
  return text;
}

const std::vector<Case>& cases() {
  constexpr int kFailed = 1, kUsage = 2;
  static const std::vector<Case> all{
      {{"--weight-format", "int4", "--group-size", "100"}, kFailed, "group size 100 does not divide the width of these layers"},
      {{"--weight-format", "int4", "--group-size", "0"}, kFailed, "group size 0: give a positive number or -1"},
      {{"--weight-format", "int4", "--group-size", "-5"}, kFailed, "group size -5"},
      {{"--weight-format", "int4", "--group-size", "many"}, kUsage, "--group-size"},
      {{"--weight-format", "int8", "--group-size", "64"}, kFailed, "int8 is per channel for all layers"},
      {{"--weight-format", "int8", "--ratio", "0.5"}, kFailed, "int8 is per channel for all layers"},
      {{"--weight-format", "int8", "--all-layers"}, kFailed, "int8 is per channel for all layers"},
      {{"--weight-format", "int8", "--backup-precision", "none"}, kFailed, "int8 is per channel for all layers"},
      {{"--weight-format", "int8", "--sensitivity-metric", "weight_quantization_error"}, kFailed, "no use for sensitivity_metric"},
      {{"--weight-format", "int8", "--awq"}, kFailed, "no use for awq"},
      {{"--weight-format", "int8", "--gptq", "--dataset", "auto"}, kFailed, "no use for gptq"},
      {{"--weight-format", "int4", "--ratio", "1.5"}, kUsage, "1.5 not in range"},
      {{"--weight-format", "int4", "--ratio", "-1"}, kUsage, "-1 not in range"},
      {{"--weight-format", "fp16", "--awq"}, kFailed, "fp16 takes no compression options"},
      {{"--weight-format", "fp16", "--sym"}, kFailed, "fp16 takes no compression options"},
      {{"--weight-format", "fp32", "--group-size", "64"}, kFailed, "fp32 takes no compression options"},
      {{"--sym"}, kFailed, "add --weight-format int4 or int8"},
      {{"--weight-format", "mxfp4", "--awq"}, kFailed, "mxfp4 takes none of awq"},
      {{"--weight-format", "mxfp4", "--group-size", "64"}, kFailed, "mxfp4 has groups of 32, not of 64"},
      {{"--weight-format", "mxfp4", "--group-size-fallback", "adjust"}, kFailed, "cannot be adjust"},
      {{"--weight-format", "int4", "--gptq"}, kFailed, "gptq looks at data: add a dataset"},
      {{"--weight-format", "int4", "--scale-estimation"}, kFailed, "scale-estimation looks at data"},
      {{"--weight-format", "int4", "--lora-correction"}, kFailed, "lora-correction looks at data"},
      {{"--weight-format", "int4", "--gptq", "--lora-correction", "--dataset", "auto"}, kFailed, "cannot be combined"},
      {{"--weight-format", "int4", "--num-samples", "5"}, kFailed, "num-samples and seqlen are of a dataset"},
      {{"--weight-format", "int4", "--num-samples", "0", "--dataset", "auto"}, kUsage, "--num-samples"},
      {{"--weight-format", "int4", "--sensitivity-metric", "max_activation_variance", "--ratio", "0.5"}, kFailed, "needs a dataset"},
      {{"--weight-format", "int4", "--sensitivity-metric", "mood"}, kFailed, "\"mood\" is not known"},
      {{"--weight-format", "int4", "--backup-precision", "int7"}, kFailed, "\"int7\" is not known"},
      {{"--weight-format", "int4", "--group-size-fallback", "guess"}, kFailed, "\"guess\" is not known"},
      {{"--weight-format", "int7"}, kFailed, "\"int7\" is not known"},
      {{"--for", "npu", "--weight-format", "int8"}, kFailed, "leave these out, or leave --for out"},
      {{"--for", "toaster"}, kFailed, "\"toaster\""},
  };
  return all;
}

}  // namespace

TEST(Contradictions, AreAnsweredWithAReasonAndNothingIsWritten) {
  for (const Case& c : cases()) {
    test::ScratchDirectory scratch;
    std::vector<std::string> arguments{"export", nib(), scratch / "out"};
    arguments.insert(arguments.end(), c.options.begin(), c.options.end());
    Outcome refused = nibble(arguments);
    EXPECT_EQ(refused.code, c.code) << line_of(c);
    EXPECT_THAT(refused.err, HasSubstr(c.part)) << line_of(c);
    EXPECT_THAT(refused.out, IsEmpty()) << line_of(c);
    EXPECT_THAT(test::listing(scratch.path()), IsEmpty()) << line_of(c);
  }
}

TEST(Contradictions, WhatSaysNothingIsDoneWithAWarning) {
  for (const char* format : {"nf4", "mxfp4", "fp8"}) {
    test::ScratchDirectory scratch;
    Outcome made = nibble({"export", nib(), scratch / "out", "--weight-format", format, "--sym"});
    EXPECT_EQ(made.code, 0) << made.err;
    EXPECT_THAT(made.err, HasSubstr("sym says nothing")) << format;
  }
  test::ScratchDirectory scratch;
  Outcome made = nibble({"export", nib(), scratch / "out", "--weight-format", "int8", "--dataset", "auto"});
  EXPECT_EQ(made.code, 0) << made.err;
  EXPECT_THAT(made.err, HasSubstr("the dataset is not used"));
}

}  // namespace nibble
