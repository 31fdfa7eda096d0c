#include "nibble/benchmark.hpp"

#include <gmock/gmock.h>

#include <functional>

#include "expect_error.hpp"
#include "models.hpp"

namespace nibble {

using test::fails;

namespace {

BenchmarkOptions tiny() {
  BenchmarkOptions options;
  options.prompt_tokens = {4, 2};
  options.new_tokens = 2;
  options.depths = {0, 3};
  options.repetitions = 2;
  return options;
}

BenchmarkResult run(const BenchmarkOptions& options, Progress* progress = nullptr) {
  return benchmark(test::nib(), {}, {}, options, test::two_threads(), progress);
}

class CountedProgress : public Progress {
 public:
  explicit CountedProgress(bool cancel = false) : cancel_(cancel) {}
  void begin(std::string_view, uint64_t total, std::string_view) override { total_ = total, ++open_; }
  void advance(uint64_t units) override { done_ += units; }
  void end() override { --open_; }
  bool cancelled() const override { return cancel_; }

  uint64_t total_ = 0, done_ = 0;
  int open_ = 0;

 private:
  bool cancel_;
};

}  // namespace

TEST(Benchmark, TimesEveryPromptAndDepth) {
  CountedProgress progress;
  BenchmarkResult result = run(tiny(), &progress);
  ASSERT_EQ(result.prefill.size(), 2u);
  EXPECT_EQ(result.prefill[0].tokens, 4);
  EXPECT_EQ(result.prefill[1].tokens, 2);
  ASSERT_EQ(result.decode.size(), 2u);
  EXPECT_EQ(result.decode[0].depth, 0);
  EXPECT_EQ(result.decode[1].depth, 3);
  EXPECT_EQ(result.decode[1].tokens, 2);
  for (const auto& rates : {result.prefill, result.decode})
    for (const Rate& rate : rates) {
      EXPECT_GT(rate.tps_min, 0);
      EXPECT_LE(rate.tps_min, rate.tps);
      EXPECT_LE(rate.tps, rate.tps_max);
      EXPECT_GT(rate.share, 0);
    }
  EXPECT_EQ(result.threads, 2);
  EXPECT_EQ(result.device, default_device());
  EXPECT_THAT(result.isa, testing::AnyOf("scalar", "avx2", "avx2vnni", "avx512vnni", "avx512bf16"));
  EXPECT_THAT(result.arithmetic, testing::AnyOf("f32", "bf16"));
  EXPECT_GE(result.weight_bytes, 2 * 2'754'816u);
  EXPECT_GT(result.load_s, 0);
  EXPECT_GT(result.ttft_ms, 0);
  EXPECT_GT(result.peak_rss_bytes, 0u);
  for (double limit : {result.limits.read_gb_s, result.limits.int8_gmac_s, result.limits.int4_gmac_s, result.limits.f32_gflop_s})
    EXPECT_GT(limit, 0);
  EXPECT_EQ(progress.total_, 2 * (4 + 2 + 2 * 2u));
  EXPECT_EQ(progress.done_, progress.total_);
  EXPECT_EQ(progress.open_, 0);
}

TEST(Benchmark, ATokenReadsTheChosenExpertsOnly) {
  auto run = [](const char* name) {
    return benchmark(test::source_directory() / "tests/data/models" / name, {}, {}, tiny(), test::two_threads());
  };
  BenchmarkResult result = run("mixtral");
  constexpr uint64_t kEmbedding = 256 * 64, kIdle = 2 * 2 * 3 * 64 * 48;
  EXPECT_EQ(result.weight_bytes_per_token, result.weight_bytes - 2 * (kEmbedding + kIdle));
  constexpr uint64_t kAttention = 2 * (64 * 64 + 2 * 32 * 64 + 64 * 64), kRouters = 2 * 4 * 64, kChosen = kIdle, kNorms = 5 * 64;
  EXPECT_EQ(result.prefill_weights, kAttention + kRouters + kChosen + kNorms);
}

TEST(Benchmark, CanBeCancelled) {
  CountedProgress progress(true);
  EXPECT_TRUE(fails(ErrorKind::cancelled, {"cancelled"}, [&] { run(tiny(), &progress); }));
  EXPECT_EQ(progress.open_, 0);
}

TEST(Benchmark, RejectsNumbersThatMakeNoSense) {
  const std::vector<std::function<void(BenchmarkOptions&)>> changes{[](auto& o) {
                                                                      o.prompt_tokens = {4, 0};
                                                                    },
                                                                    [](auto& o) { o.depths = {-1}; }, [](auto& o) { o.new_tokens = 0; },
                                                                    [](auto& o) { o.repetitions = 0; }};
  for (const auto& change : changes) {
    BenchmarkOptions options = tiny();
    change(options);
    EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"benchmark"}, [&] { run(options); }));
  }
}

TEST(Benchmark, MissingModelsAreNamed) {
  EXPECT_TRUE(fails(ErrorKind::not_found, {"no-such-model"}, [] { benchmark("no-such-model", {}, {}, tiny()); }));
}

}  // namespace nibble
