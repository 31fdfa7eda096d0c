#include "nibble/benchmark.hpp"

#include <algorithm>
#include <chrono>
#include <random>

#include "base/fail.hpp"
#include "device/model_runner.hpp"
#include "nibble/inspect.hpp"
#include "pipeline/model_loader.hpp"
#include "pipeline/progress_stage.hpp"

namespace nibble {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

std::vector<int64_t> random_tokens(int64_t count, int64_t vocab) {
  std::mt19937 random(0);
  std::uniform_int_distribution<int64_t> token(0, vocab - 1);
  std::vector<int64_t> ids(static_cast<size_t>(count));
  for (int64_t& id : ids) id = token(random);
  return ids;
}

Rate rate_of(std::vector<double> seconds, int64_t tokens, int64_t depth) {
  std::sort(seconds.begin(), seconds.end());
  auto count = static_cast<double>(tokens);
  return {tokens, depth, count / seconds[seconds.size() / 2], count / seconds.back(), count / seconds.front(), 0};
}

/// Runs prompts and single tokens through a runner and times them.
class Stopwatch {
 public:
  Stopwatch(ModelRunner& runner, const BenchmarkOptions& options, int64_t vocab, ProgressStage& stage)
      : runner_(runner), options_(options), vocab_(vocab), stage_(stage) {}

  Rate prefill(int64_t tokens) {
    auto ids = random_tokens(tokens, vocab_);
    std::vector<double> seconds;
    for (int i = 0; i < options_.repetitions; ++i) {
      auto start = Clock::now();
      forward(ids);
      seconds.push_back(seconds_since(start));
      runner_.release(kSequence);
      stage_.advance(static_cast<uint64_t>(tokens));
    }
    return rate_of(seconds, tokens, 0);
  }

  Rate decode(int64_t depth) {
    std::vector<double> seconds;
    for (int i = 0; i < options_.repetitions; ++i) {
      forward(random_tokens(std::max<int64_t>(depth, 1), vocab_));
      auto start = Clock::now();
      for (int64_t t = 0; t < options_.new_tokens; ++t) forward({t % vocab_});
      seconds.push_back(seconds_since(start));
      runner_.release(kSequence);
      stage_.advance(static_cast<uint64_t>(options_.new_tokens));
    }
    return rate_of(seconds, options_.new_tokens, depth);
  }

 private:
  static constexpr SequenceId kSequence = 1;

  void forward(const std::vector<int64_t>& ids) {
    TokenSpan span{kSequence, ids, false};
    runner_.forward({&span, 1});
  }

  ModelRunner& runner_;
  const BenchmarkOptions& options_;
  int64_t vocab_;
  ProgressStage& stage_;
};

void check(const BenchmarkOptions& options) {
  auto positive = [](const std::vector<int64_t>& values, int64_t least) {
    return std::all_of(values.begin(), values.end(), [=](int64_t v) { return v >= least; });
  };
  if (!positive(options.prompt_tokens, 1) || !positive(options.depths, 0) || options.new_tokens < 1 || options.repetitions < 1)
    fail(ErrorKind::invalid_argument,
         "a benchmark needs positive numbers of prompt tokens, new tokens and repetitions, and depths of at least 0");
}

int64_t total_tokens(const BenchmarkOptions& options) {
  int64_t total = static_cast<int64_t>(options.depths.size()) * options.new_tokens;
  for (int64_t tokens : options.prompt_tokens) total += tokens;
  return total * options.repetitions;
}

}  // namespace

BenchmarkResult benchmark(const std::filesystem::path& model, const std::string& device, const Properties& properties,
                          const BenchmarkOptions& options, std::shared_ptr<Context> context, Progress* progress) {
  check(options);
  if (!context) context = std::make_shared<Context>();
  BenchmarkResult result;
  ModelInfo info = inspect_model(model);
  auto start = Clock::now();
  auto compiled = load_model(model, device, properties, *context);
  auto runner = make_stateful_runner(compiled);
  result.load_s = seconds_since(start);
  result.model = model.string();
  result.device = runner->device_name();
  result.isa = instruction_set();
  result.threads = context->thread_count();
  result.weight_bytes = info.weight_bytes;

  int64_t vocab = compiled->outputs().front().shape.rank_is_known() ? compiled->outputs().front().shape.dims().back() : 1;
  ProgressStage stage(progress, "benchmark", static_cast<uint64_t>(total_tokens(options)), "tokens");
  Stopwatch stopwatch(*runner, options, std::max<int64_t>(vocab, 1), stage);
  for (int64_t tokens : options.prompt_tokens) result.prefill.push_back(stopwatch.prefill(tokens));
  for (int64_t depth : options.depths) result.decode.push_back(stopwatch.decode(depth));
  result.ttft_ms = result.prefill.empty() ? 0 : 1e3 * static_cast<double>(result.prefill[0].tokens) / result.prefill[0].tps;
  result.peak_rss_bytes = peak_resident_bytes();  // before the limits, whose buffers are not the model's

  result.limits = measure_machine_limits(*context);
  for (Rate& rate : result.prefill) rate.share = 2.0 * static_cast<double>(info.parameters) * rate.tps / (result.limits.f32_gflop_s * 1e9);
  for (Rate& rate : result.decode) rate.share = static_cast<double>(info.weight_bytes) * rate.tps / (result.limits.read_gb_s * 1e9);
  return result;
}

}  // namespace nibble
