#include <gmock/gmock.h>

#include <numeric>

#include "expect_error.hpp"
#include "models.hpp"
#include "nibble/export.hpp"
#include "pipeline/weight_kind.hpp"
#include "scratch_directory.hpp"

namespace nibble {

using test::fails;
using testing::HasSubstr;

namespace {

namespace fs = std::filesystem;

/// Few tokens: enough to choose by, and fast.
ExportOptions options_for(std::optional<double> budget_gb, std::optional<double> max_kl = {}) {
  ExportOptions options;
  options.budget_gb = budget_gb;
  options.max_kl = max_kl;
  options.num_samples = 8;
  options.seqlen = 24;
  return options;
}

class PrecisionSearch : public testing::Test {
 protected:
  ExportReport run(const ExportOptions& options, int threads = 2) {
    Context context({threads, {}});
    last_ = scratch_ / std::to_string(++count_);
    return export_model(test::nib(), last_, options, context);
  }
  fs::path bin() const { return last_ / "openvino_model.bin"; }
  testing::AssertionResult refuses(ErrorKind kind, const ExportOptions& options, const std::vector<std::string>& parts) {
    auto result = fails(kind, parts, [&] { run(options); });
    return fs::exists(last_) ? testing::AssertionFailure() << "there is an output" : result;
  }

  test::ScratchDirectory scratch_;
  fs::path last_;
  int count_ = 0;
};

TEST_F(PrecisionSearch, MeetsBudgetsAndLosesLessTheLargerTheyAre) {
  double before = 1e9;
  uint64_t bytes_before = 0;
  for (double budget : {0.00150, 0.0019, 0.0029, 0.0056}) {
    ExportReport report = run(options_for(budget));
    ASSERT_TRUE(report.search);
    EXPECT_LE(fs::file_size(bin()), static_cast<uint64_t>(budget * 1e9));
    EXPECT_EQ(report.search->bytes, fs::file_size(bin()));
    EXPECT_LE(report.search->predicted_kl, before) << budget;
    EXPECT_GT(report.search->bytes, bytes_before);
    before = report.search->predicted_kl;
    bytes_before = report.search->bytes;
  }
  EXPECT_EQ(before, 0);  // everything as it was
}

TEST_F(PrecisionSearch, MeasuresWhatItPredicts) {
  ExportOptions options = options_for(0.0018);
  options.num_samples = 16;
  options.seqlen = 64;
  PrecisionReport search = *run(options).search;
  ASSERT_TRUE(search.measured_kl);
  EXPECT_EQ(search.measured_tokens, 4u * 64u);
  EXPECT_GT(*search.measured_kl, search.predicted_kl / 2);
  EXPECT_LT(*search.measured_kl, search.predicted_kl * 2);
  EXPECT_GT(*search.top1_agreement, 0.4);
}

TEST_F(PrecisionSearch, RefusesBudgetsThatCannotBeMet) {
  EXPECT_TRUE(refuses(ErrorKind::invalid_argument, options_for(0.001), {"0.001000 GB", "int4_asym", "1439872"}));
  EXPECT_EQ(run(options_for(0.001439872)).search->bytes, 1439872u);
}

TEST_F(PrecisionSearch, DoesNotDependOnTheNumberOfThreads) {
  ExportReport one = run(options_for(0.0019), 1);
  std::string weights = test::file_text(bin());
  ExportReport three = run(options_for(0.0019), 3);
  EXPECT_EQ(test::file_text(bin()), weights);
  EXPECT_EQ(one.search->predicted_kl, three.search->predicted_kl);
  EXPECT_EQ(one.search->measured_kl, three.search->measured_kl);
}

TEST_F(PrecisionSearch, KeepsADivergenceAsMeasured) {
  uint64_t before = 1e9;
  for (double limit : {0.003, 0.03, 0.3}) {
    PrecisionReport search = *run(options_for({}, limit)).search;
    EXPECT_LE(*search.measured_kl, limit);
    EXPECT_LT(search.bytes, before);
    EXPECT_EQ(search.bytes, fs::file_size(bin()));
    // What is smaller was measured and lost too much, unless nothing is smaller.
    bool is_tight = search.bytes == search.smallest_bytes;
    for (const PrecisionTrial& trial : search.trials) {
      EXPECT_TRUE(trial.bytes >= search.bytes || trial.measured_kl > limit);
      is_tight = is_tight || (trial.bytes < search.bytes && trial.measured_kl > limit);
    }
    EXPECT_TRUE(is_tight) << limit;
    before = search.bytes;
  }
}

TEST_F(PrecisionSearch, SaysWhenNoChoiceKeepsTheDivergence) {
  ExportOptions options = options_for({}, 1e-9);
  options.backup_precision = "int8_asym";
  EXPECT_TRUE(refuses(ErrorKind::unsupported, options, {"1e-09", "the best", "--backup-precision"}));
  PrecisionReport floats = *run(options_for({}, 0)).search;  // as it is: no loss at all
  EXPECT_EQ(*floats.measured_kl, 0);
}

TEST_F(PrecisionSearch, SaysWhatEachWeightGotAndWhy) {
  PrecisionReport search = *run(options_for(0.0019)).search;
  ASSERT_EQ(search.weights.size(), 29u);
  double loss = 0;
  for (const WeightDecision& weight : search.weights) {
    ASSERT_EQ(weight.options.size(), 5u) << weight.name;
    EXPECT_EQ(weight.options[0].precision, "int4_asym, group size 128");
    EXPECT_EQ(weight.options[3].precision, "int8_asym");
    EXPECT_EQ(weight.options[4].precision, "f16");
    EXPECT_EQ(*weight.options[4].loss, 0);
    auto chosen =
        std::find_if(weight.options.begin(), weight.options.end(), [&](const auto& o) { return o.precision == weight.precision; });
    ASSERT_NE(chosen, weight.options.end());
    EXPECT_EQ(chosen->bytes, weight.bytes);
    EXPECT_EQ(chosen->loss, weight.loss);
    EXPECT_FALSE(weight.reason.empty());
    loss += *weight.loss;
  }
  EXPECT_NEAR(loss, search.predicted_kl, 1e-12);
  EXPECT_EQ(search.weights[0].kind, "embedding and head");
}

TEST_F(PrecisionSearch, TakesTheLowestPrecisionAndMethodsAsTold) {
  ExportOptions options = options_for(0.0017);
  options.weight_format = "int4";
  options.sym = true;
  options.group_size = 64;
  options.awq = options.scale_estimation = true;
  options.dataset = "auto";
  ExportReport report = run(options);
  EXPECT_THAT(report.format, HasSubstr("int4_sym, group size 64, awq, scale estimation"));
  EXPECT_LE(fs::file_size(bin()), 1'700'000u);
  for (const WeightDecision& weight : report.search->weights) EXPECT_EQ(weight.options[0].precision, "int4_sym, group size 64");
}

TEST_F(PrecisionSearch, RefusesContradictions) {
  auto with = [](auto change) {
    ExportOptions options = options_for(0.002);
    change(options);
    return options;
  };
  auto refused = [&](auto change, const std::vector<std::string>& parts) {
    return refuses(ErrorKind::invalid_argument, with(change), parts);
  };
  EXPECT_TRUE(refused([](auto& o) { o.max_kl = 0.1; }, {"budget-gb", "max-kl", "exclude"}));
  EXPECT_TRUE(refused([](auto& o) { o.ratio = 0.8; }, {"budget-gb", "ratio"}));
  EXPECT_TRUE(refused([](auto& o) { o.all_layers = true; }, {"all-layers"}));
  EXPECT_TRUE(refused([](auto& o) { o.sensitivity_metric = "mean_activation_variance"; }, {"sensitivity-metric"}));
  EXPECT_TRUE(refused([](auto& o) { o.lora_correction = true; }, {"lora-correction"}));
  EXPECT_TRUE(refused([](auto& o) { o.target = "npu"; }, {"--for npu", "--budget-gb"}));
  EXPECT_TRUE(refused([](auto& o) { o.weight_format = "fp16"; }, {"fp16"}));
  EXPECT_TRUE(refused([](auto& o) { o.budget_gb = -1; }, {"budget-gb -1"}));
  EXPECT_TRUE(refused([](auto& o) { o.budget_gb = std::nan(""); }, {"budget-gb"}));
  EXPECT_TRUE(refuses(ErrorKind::not_found, with([](auto& o) { o.dataset = "no-such-dataset"; }), {"no-such-dataset"}));
}

uint64_t sum_of(const std::vector<WeightRow>& rows) {
  return std::accumulate(rows.begin(), rows.end(), uint64_t{0}, [](uint64_t sum, const WeightRow& row) { return sum + row.bytes; });
}

TEST_F(PrecisionSearch, RowsAddUpToTheFile) {
  for (const char* format : {"fp16", "int8", "int4", "nf4", "mxfp4", "nvfp4", "cb4"}) {
    ExportOptions options;
    options.weight_format = format;
    ExportReport report = run(options);
    EXPECT_EQ(sum_of(report.rows), fs::file_size(bin())) << format;
    EXPECT_EQ(report.rows.front().kind, "embedding and head") << format;
    for (const WeightRow& row : report.rows) EXPECT_TRUE(row.kind != "mlp down" || row.count == 4) << format;
    EXPECT_EQ(report.memory.context_length, 1024);
    EXPECT_EQ(report.memory.weights, fs::file_size(bin()));
    EXPECT_GT(report.memory.kv_cache, 0u);
  }
}

TEST_F(PrecisionSearch, EvaluatesAsEvalDoes) {
  std::string text = test::validation_text().substr(0, 8000);
  test::write_text(scratch_ / "text.txt", text);
  ExportOptions options;
  options.weight_format = "int4";
  options.eval_text = scratch_ / "text.txt";
  ExportReport report = run(options);
  ASSERT_TRUE(report.evaluation);
  LanguageModel model(last_), source(test::nib());
  Evaluation expected = evaluate(model, &source, last_, text);
  EXPECT_EQ(report.evaluation->model.perplexity, expected.model.perplexity);
  EXPECT_EQ(report.evaluation->reference->perplexity, expected.reference->perplexity);
  EXPECT_EQ(report.evaluation->divergence->mean_kl, expected.divergence->mean_kl);
  EXPECT_EQ(report.evaluation->divergence->top1_agreement, expected.divergence->top1_agreement);
  options.eval_text = scratch_ / "none.txt";
  EXPECT_TRUE(refuses(ErrorKind::not_found, options, {"none.txt"}));
}

TEST(WeightKind, KnowsTheNamesOfTheFamilies) {
  const std::pair<const char*, const char*> names[]{
      {"self.model.layers.0.self_attn.q_proj.weight", "attention q"},
      {"self.model.layers.0.self_attn.o_proj.weight", "attention o"},
      {"self.model.layers.3.mlp.gate_proj.weight", "mlp gate"},
      {"self.model.layers.3.mlp.gate.weight", "router"},
      {"self.model.layers.3.block_sparse_moe.gate.weight", "router"},
      {"self.model.layers.3.mlp.experts.gate_up_proj", "experts"},
      {"self.model.layers.3.mlp.shared_expert.down_proj.weight", "mlp down"},
      {"self.transformer.h.0.attn.c_attn.weight", "attention qkv"},
      {"self.transformer.h.0.attn.c_proj.weight", "attention o"},
      {"self.transformer.h.0.mlp.c_proj.weight", "mlp down"},
      {"self.transformer.h.0.self_attention.query_key_value.weight", "attention qkv"},
      {"self.transformer.h.0.self_attention.dense.weight", "attention o"},
      {"self.transformer.h.0.mlp.dense_4h_to_h.weight", "mlp down"},
      {"self.lm_head.weight", "head"},
      {"self.model.norm.weight", "other"},
  };
  for (const auto& [name, kind] : names) EXPECT_EQ(weight_kind(name), kind) << name;
}

}  // namespace
}  // namespace nibble
