#include <gmock/gmock.h>

#include <cmath>

#include "command.hpp"

// The commands that measure: inspect, eval and bench. Their JSON is an interface.

namespace nibble {

using test::nib;
using test::nibble;
using test::Outcome;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

namespace {

using nlohmann::json;

class WithText : public testing::Test {
 protected:
  WithText() { test::write_text(text(), test::file_text(nib() + "/eval/validation.txt").substr(0, 1500)); }
  std::string text() const { return scratch_ / "text.txt"; }
  test::ScratchDirectory scratch_;
};

}  // namespace

TEST(InspectCommand, JsonHasTheModelsNumbers) {
  Outcome run = nibble({"inspect", nib(), "--context-length", "100", "--json"});
  EXPECT_THAT(run.err, IsEmpty());
  json document = run.document();
  EXPECT_EQ(document["architecture"], "llama");
  EXPECT_EQ(document["parameters"], 2'754'816);
  EXPECT_EQ(document["sizes"]["num_hidden_layers"], 4);
  EXPECT_GT(document["bits_per_weight"], 15.9);
  for (const json& kind : document["weights"])
    for (const char* name : {"kind", "elements", "bytes", "bits_per_weight", "precisions"}) EXPECT_TRUE(kind.contains(name)) << name;
  EXPECT_THAT(document["inputs"], SizeIs(4));
  EXPECT_EQ(document["outputs"][0]["name"], "logits");
  EXPECT_EQ(document["memory"]["context_length"], 100);
  EXPECT_EQ(document["memory"]["kv_cache_bytes_f16"], 100 * 512 * 2);
  EXPECT_EQ(document["operations"]["ReadValue"], 8);
}

TEST(InspectCommand, TableAndGraphAreForPeople) {
  EXPECT_THAT(nibble({"inspect", nib()}).out,
              testing::AllOf(HasSubstr("llama"), HasSubstr("attention"), HasSubstr("memory for 1024 tokens")));
  EXPECT_THAT(nibble({"inspect", nib(), "--graph"}).out, HasSubstr("ScaledDotProductAttention"));
}

TEST(InspectCommand, PlanNamesKernelsAndCountsWhatStayedUnfused) {
  Outcome run = nibble({"inspect", nib(), "--plan", "--json"});
  EXPECT_THAT(run.err, IsEmpty());
  json plan = run.document();
  EXPECT_EQ(plan["unfused"], 0);
  EXPECT_EQ(plan["obstacle"], "");
  std::map<std::string, int> kinds;
  for (const json& operation : plan["operations"]) ++kinds[operation["kind"]];
  EXPECT_EQ(kinds["PagedAttention"], 4);
  EXPECT_EQ(kinds["Linear"], 4 * 4 + 1);
  EXPECT_EQ(kinds["Embedding"], 1);
  EXPECT_THAT(nibble({"inspect", nib(), "--plan"}).out,
              testing::AllOf(HasSubstr("gemm_"), HasSubstr("RMSNorm"), HasSubstr("packed weights"), HasSubstr("operations, 0 unfused")));
}

TEST_F(WithText, EvalGivesPerplexity) {
  Outcome run = nibble({"eval", nib(), "--text", text(), "--window", "64", "--json"});
  EXPECT_THAT(run.err, IsEmpty());
  json document = run.document();
  EXPECT_GT(document["perplexity"], 1);
  EXPECT_NEAR(document["perplexity"].get<double>(), std::exp(document["nll_per_token"].get<double>()), 1e-9);
  EXPECT_EQ(document["window"], 64);
  EXPECT_GT(document["tokens"], document["predicted_tokens"]);
  EXPECT_GT(document["seconds"], 0);
  EXPECT_GT(document["peak_rss_mb"], 0);
  EXPECT_FALSE(document.contains("reference"));
}

TEST_F(WithText, EvalComparesWithAReference) {
  json document = nibble({"eval", nib(), "--text", text(), "--reference", nib(), "--json"}).document();
  EXPECT_EQ(document["mean_kl"], 0);
  EXPECT_EQ(document["top1_agreement"], 1);
  EXPECT_EQ(document["reference"]["perplexity"], document["perplexity"]);
  EXPECT_THAT(nibble({"eval", nib(), "--text", text(), "--reference", nib()}).out,
              testing::AllOf(HasSubstr("perplexity"), HasSubstr("100.00 %")));
}

TEST_F(WithText, ProgressGoesToStandardErrorWhenAskedFor) {
  Outcome run = nibble({"eval", nib(), "--text", text(), "--window", "32", "--json", "--progress"});
  EXPECT_NO_THROW(run.document());
  EXPECT_THAT(run.err, HasSubstr("100 %"));
}

TEST_F(WithText, EvalNeedsATokenizer) {
  std::filesystem::create_symlink(nib() + "/config.json", scratch_ / "config.json");
  std::filesystem::create_symlink(nib() + "/model.safetensors", scratch_ / "model.safetensors");
  Outcome run = nibble({"eval", scratch_.path(), "--text", text()});
  EXPECT_EQ(run.code, 1);
  EXPECT_THAT(run.err, HasSubstr("--tokenizer"));
  EXPECT_EQ(nibble({"eval", scratch_.path(), "--text", text(), "--tokenizer", nib()}).code, 0);
}

TEST(BenchCommand, JsonHasLimitsAndRates) {
  Outcome run = nibble({"bench", nib(), "-p", "4,2", "-n", "2", "-t", "1", "--depth", "0,3", "-r", "1", "--json"});
  EXPECT_THAT(run.err, IsEmpty());
  json document = run.document();
  EXPECT_EQ(document["model"], nib());
  EXPECT_EQ(document["threads"], 1);
  EXPECT_TRUE(document["device"].is_string());
  EXPECT_TRUE(document["isa"].is_string());
  for (const char* name : {"read_gb_s", "int8_gmac_s", "f32_gflop_s"}) EXPECT_GT(document["limits"][name], 0) << name;
  for (const char* name : {"load_s", "ttft_ms", "peak_rss_mb", "weight_bytes"}) EXPECT_GT(document[name], 0) << name;
  ASSERT_THAT(document["prefill"], SizeIs(2));
  EXPECT_EQ(document["prefill"][1]["tokens"], 2);
  ASSERT_THAT(document["decode"], SizeIs(2));
  EXPECT_EQ(document["decode"][1]["depth"], 3);
  for (const char* list : {"prefill", "decode"})
    for (const json& rate : document[list]) {
      EXPECT_GT(rate["tps"], 0);
      EXPECT_GT(rate["share"], 0);
    }
}

TEST(BenchCommand, NumbersThatMakeNoSenseAreErrors) {
  EXPECT_EQ(nibble({"bench", nib(), "-p", "0"}).code, 1);
  EXPECT_EQ(nibble({"bench", nib(), "-p", "four"}).code, 2);
}

}  // namespace nibble
