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

/// Of runs of `tokens` steps of `sequences` sequences.
Rate rate_of(std::vector<double> seconds, int64_t tokens, int64_t depth, int64_t sequences) {
  std::sort(seconds.begin(), seconds.end());
  auto count = static_cast<double>(tokens * sequences);
  return {tokens, depth, sequences, count / seconds[seconds.size() / 2], count / seconds.back(), count / seconds.front(), 0};
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
      forward(ids, 1);
      seconds.push_back(seconds_since(start));
      runner_.release(0);
      stage_.advance(static_cast<uint64_t>(tokens));
    }
    return rate_of(seconds, tokens, 0, 1);
  }

  /// The first step after the prompt is not timed: buffers and threads settle there.
  Rate decode(int64_t depth, int64_t sequences) {
    std::vector<double> seconds;
    for (int i = 0; i < options_.repetitions; ++i) {
      forward(random_tokens(std::max<int64_t>(depth, 1), vocab_), sequences);
      forward({1 % vocab_}, sequences);
      auto start = Clock::now();
      for (int64_t t = 0; t < options_.new_tokens; ++t) forward({t % vocab_}, sequences);
      seconds.push_back(seconds_since(start));
      for (int64_t s = 0; s < sequences; ++s) runner_.release(static_cast<SequenceId>(s));
      stage_.advance(static_cast<uint64_t>(options_.new_tokens * sequences));
    }
    return rate_of(seconds, options_.new_tokens, depth, sequences);
  }

 private:
  void forward(const std::vector<int64_t>& ids, int64_t sequences) {
    std::vector<TokenSpan> spans;
    for (int64_t s = 0; s < sequences; ++s) spans.push_back({static_cast<SequenceId>(s), ids, false});
    runner_.forward(spans);
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
  if (!positive(options.prompt_tokens, 1) || !positive(options.depths, 0) || !positive(options.batches, 1) || options.new_tokens < 1 ||
      options.repetitions < 1)
    fail(ErrorKind::invalid_argument,
         "a benchmark needs positive numbers of prompt tokens, new tokens, sequences and repetitions, and depths of at least 0");
}

int64_t total_tokens(const BenchmarkOptions& options) {
  int64_t total = static_cast<int64_t>(options.depths.size()) * options.new_tokens;
  for (int64_t tokens : options.prompt_tokens) total += tokens;
  for (int64_t sequences : options.batches) total += sequences * options.new_tokens;
  return total * options.repetitions;
}

const WeightKind* find_kind(const ModelInfo& info, std::string_view kind) {
  for (const WeightKind& weights : info.weights)
    if (weights.kind == kind) return &weights;
  return nullptr;
}

/// What a token reads and multiplies: a table of embeddings that is the head too is read as the head.
void note_weights(BenchmarkResult& result, const ModelInfo& info) {
  const WeightKind *embedding = find_kind(info, "embedding"), *head = find_kind(info, "head");
  result.weight_bytes = result.weight_bytes_per_token = info.weight_bytes;
  result.prefill_weights = info.parameters;
  if (embedding) result.prefill_weights -= embedding->elements;
  if (embedding && head) result.weight_bytes_per_token -= embedding->bytes;
  if (head) result.prefill_weights -= head->elements;
}

bool computes_in_int8(const ModelInfo& info, const CompiledModel& model, const Properties& properties) {
  auto group = properties.find("DYNAMIC_QUANTIZATION_GROUP_SIZE");
  if (model.device_name() != "CPU" || (group != properties.end() && group->second == "0")) return false;
  uint64_t integers = 0, all = 0;
  for (const WeightKind& kind : info.weights)
    for (const auto& [type, count] : kind.precisions) {
      all += count;
      if (type == "u4" || type == "i4" || type == "u8" || type == "i8") integers += count;
    }
  return 2 * integers > all;
}

void note_shares(BenchmarkResult& result, bool in_int8) {
  double limit = in_int8 ? result.limits.int8_gmac_s * 1e9 : result.limits.f32_gflop_s * 1e9 / 2;
  for (Rate& rate : result.prefill) rate.share = static_cast<double>(result.prefill_weights) * rate.tps / limit;
  for (auto* rates : {&result.decode, &result.batch})
    for (Rate& rate : *rates)
      rate.share = static_cast<double>(result.weight_bytes_per_token) * rate.tps / static_cast<double>(rate.sequences) /
                   (result.limits.read_gb_s * 1e9);
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
  auto runner = make_runner(compiled);
  result.load_s = seconds_since(start);
  result.model = model.string();
  result.device = runner->device_name();
  result.isa = instruction_set();
  result.threads = context->thread_count();
  note_weights(result, info);

  int64_t vocab = compiled->outputs().front().shape.rank_is_known() ? compiled->outputs().front().shape.dims().back() : 1;
  ProgressStage stage(progress, "benchmark", static_cast<uint64_t>(total_tokens(options)), "tokens");
  Stopwatch stopwatch(*runner, options, std::max<int64_t>(vocab, 1), stage);
  for (int64_t tokens : options.prompt_tokens) result.prefill.push_back(stopwatch.prefill(tokens));
  for (int64_t depth : options.depths) result.decode.push_back(stopwatch.decode(depth, 1));
  for (int64_t sequences : options.batches) result.batch.push_back(stopwatch.decode(0, sequences));
  result.ttft_ms = result.prefill.empty() ? 0 : 1e3 * static_cast<double>(result.prefill[0].tokens) / result.prefill[0].tps;
  result.peak_rss_bytes = peak_resident_bytes();  // before the limits, whose buffers are not the model's

  result.limits = measure_machine_limits(*context);
  note_shares(result, computes_in_int8(info, *compiled, properties));
  return result;
}

}  // namespace nibble
