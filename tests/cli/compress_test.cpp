#include <gmock/gmock.h>

#include "command.hpp"

namespace nibble {

using test::nib;
using test::nibble;
using test::Outcome;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

namespace {

class Compress : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(nibble({"export", nib(), ir(), "--weight-format", "fp16"}).code, 0); }
  std::string ir() const { return scratch_ / "ir"; }
  std::string output() const { return scratch_ / "out"; }
  Outcome run(std::vector<std::string> options) const {
    options.insert(options.begin(), {"compress", ir(), output()});
    return nibble(options);
  }
  test::ScratchDirectory scratch_;
};

TEST_F(Compress, MakesADirectoryThatRuns) {
  Outcome made = run({"--weight-format", "int8"});
  EXPECT_EQ(made.code, 0) << made.err;
  EXPECT_THAT(made.err, IsEmpty());
  EXPECT_THAT(made.out, AllOf(HasSubstr("int8_asym"), HasSubstr("29 int8_asym")));
  EXPECT_EQ(nibble({"generate", output(), "-p", "Who are you?"}).out, "I am Nib, a tiny model that ships with Nibble.\n");
}

TEST_F(Compress, JsonHasTheReport) {
  Outcome made = run({"--weight-format", "int4", "--sym", "--dataset", "auto", "--num-samples", "4", "--scale-estimation", "--json"});
  EXPECT_THAT(made.err, IsEmpty());
  auto document = made.document();
  EXPECT_EQ(document["model"], ir());
  EXPECT_EQ(document["output"], output());
  EXPECT_EQ(document["format"], "int4_sym, group size 128, scale estimation");
  EXPECT_EQ(document["layers"]["int4_sym"], 28);
  EXPECT_GT(document["original_bytes"], document["weight_bytes"]);
  EXPECT_GT(document["seconds"], 0);
}

TEST_F(Compress, SaysWhatIsWrong) {
  Outcome without = run({});
  EXPECT_EQ(without.code, 1);
  EXPECT_THAT(without.err, AllOf(StartsWith("nibble: error: "), HasSubstr("int4")));
  Outcome missing = run({"--weight-format", "int4", "--gptq", "--dataset", "no-such-dataset"});
  EXPECT_EQ(missing.code, 1);
  EXPECT_THAT(missing.err, AllOf(HasSubstr("no-such-dataset"), HasSubstr("nibble/datasets"), HasSubstr("auto")));
  EXPECT_EQ(run({"--weight-format", "int4", "--ratio", "2"}).code, 2);
  EXPECT_EQ(run({"--weight-format", "int4", "--num-samples", "0"}).code, 2);
  EXPECT_FALSE(std::filesystem::exists(output()));
}

TEST_F(Compress, ToABudgetWithEverythingInTheReport) {
  std::string text = test::nib() + "/eval/prompts.jsonl";
  Outcome made = run({"--budget-gb", "0.0019", "--num-samples", "8", "--seqlen", "24", "--eval", text, "--json"});
  ASSERT_EQ(made.code, 0) << made.err;
  auto document = made.document();
  EXPECT_LE(document["weight_bytes"], 1'900'000);
  EXPECT_EQ(document["search"]["budget_bytes"], 1'900'000);
  EXPECT_EQ(document["search"]["bytes"], document["weight_bytes"]);
  EXPECT_EQ(document["search"]["weights"].size(), 29u);
  EXPECT_GT(document["search"]["measured_kl"], 0);
  uint64_t sum = 0;
  for (const auto& row : document["rows"]) sum += row["bytes"].get<uint64_t>();
  EXPECT_EQ(document["weight_bytes"], sum);
  EXPECT_GT(document["memory"]["total"], document["memory"]["weights"]);
  auto eval = nibble({"eval", output(), "--text", text, "--reference", ir(), "--json"}).document();
  EXPECT_EQ(document["evaluation"]["mean_kl"], eval["mean_kl"]);
  EXPECT_EQ(document["evaluation"]["model"]["perplexity"], eval["perplexity"]);
  EXPECT_EQ(document["evaluation"]["top1_agreement"], eval["top1_agreement"]);
}

TEST_F(Compress, TellsPeopleWhatABudgetWentInto) {
  Outcome made = run({"--budget-gb", "0.0019", "--num-samples", "8", "--seqlen", "24"});
  EXPECT_THAT(made.out, AllOf(HasSubstr("most sensitive"), HasSubstr("nats away per kB"), HasSubstr("budget 1900000 bytes, used 1"),
                              HasSubstr("held-out tokens"), HasSubstr("memory to run, for 1024 tokens")));
}

TEST_F(Compress, RefusesBudgetsThatMakeNoSense) {
  Outcome small = run({"--budget-gb", "0.001", "--num-samples", "8", "--seqlen", "24"});
  EXPECT_EQ(small.code, 1);
  EXPECT_THAT(small.err, AllOf(HasSubstr("0.001000 GB"), HasSubstr("bytes; give 0.0014")));
  EXPECT_EQ(run({"--budget-gb", "0.002", "--max-kl", "0.1"}).code, 2);
  Outcome ratio = run({"--max-kl", "0.1", "--ratio", "0.8"});
  EXPECT_EQ(ratio.code, 1);
  EXPECT_THAT(ratio.err, AllOf(HasSubstr("max-kl"), HasSubstr("ratio")));
  EXPECT_FALSE(std::filesystem::exists(output()));
}

}  // namespace
}  // namespace nibble
