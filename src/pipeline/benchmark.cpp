#include "nibble/benchmark.hpp"

#include <algorithm>
#include <chrono>
#include <functional>
#include <random>

#include "base/fail.hpp"
#include "base/machine_meter.hpp"
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

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// Samples what the machine can do, beside the memory of the model.
class Limits {
 public:
  Limits(ThreadPool& threads, std::string_view isa, Arithmetic arithmetic) : meter_(threads, isa), arithmetic_(arithmetic) {}
  double read() {
    note_peak();
    double rate = meter_.read();
    can_reset_ = can_reset_ && reset_peak_resident();
    return rate;
  }
  /// Multiply-accumulates per second.
  double compute() const {
    switch (arithmetic_) {
      case Arithmetic::int4: return meter_.int4();
      case Arithmetic::int8: return meter_.int8();
      case Arithmetic::bf16: return meter_.bf16();
      case Arithmetic::f32: break;
    }
    return meter_.f32();
  }
  /// Without what the samples took.
  uint64_t peak_bytes() {
    note_peak();
    return peak_;
  }

 private:
  void note_peak() {
    if (can_reset_) peak_ = std::max(peak_, peak_resident_bytes());
  }
  MachineMeter meter_;
  Arithmetic arithmetic_;
  bool can_reset_ = true;
  uint64_t peak_ = 0;
};

/// The repetitions of one test.
class Repetitions {
 public:
  /// `work`: what one repetition reads or multiplies, in the units of `limit`.
  Repetitions(int64_t tokens, int64_t depth, int64_t sequences, double work) : work_(work) {
    rate_.tokens = tokens, rate_.depth = depth, rate_.sequences = sequences;
  }
  /// `limit`: a sample of the machine, taken before and after.
  void time(const std::function<double()>& limit, const std::function<void()>& body) {
    double before = limit();
    auto start = Clock::now();
    body();
    double seconds = seconds_since(start);
    seconds_.push_back(seconds);
    shares_.push_back(work_ / seconds / std::max(before, limit()));
  }
  Rate result() {
    auto count = static_cast<double>(rate_.tokens * rate_.sequences);
    rate_.tps = count / median(seconds_);
    rate_.tps_min = count / *std::max_element(seconds_.begin(), seconds_.end());
    rate_.tps_max = count / *std::min_element(seconds_.begin(), seconds_.end());
    rate_.share = median(shares_);
    return rate_;
  }

 private:
  Rate rate_;
  double work_;
  std::vector<double> seconds_, shares_;
};

/// Runs prompts and single tokens through a runner and times them.
class Stopwatch {
 public:
  Stopwatch(ModelRunner& runner, const BenchmarkOptions& options, const BenchmarkResult& weights, int64_t vocab, Limits& limits,
            ProgressStage& stage)
      : runner_(runner), options_(options), weights_(weights), vocab_(vocab), limits_(limits), stage_(stage) {}

  Rate prefill(int64_t tokens) {
    auto ids = random_tokens(tokens, vocab_);
    Repetitions repetitions(tokens, 0, 1, static_cast<double>(weights_.prefill_weights) * static_cast<double>(tokens));
    for (int i = 0; i < options_.repetitions; ++i) {
      repetitions.time([&] { return limits_.compute(); }, [&] { forward(ids, 1); });
      runner_.release(0);
      stage_.advance(static_cast<uint64_t>(tokens));
    }
    return repetitions.result();
  }

  /// The first step after the prompt is not timed: buffers and threads settle there.
  Rate decode(int64_t depth, int64_t sequences) {
    double bytes = static_cast<double>(weights_.weight_bytes_per_token) * static_cast<double>(options_.new_tokens);
    Repetitions repetitions(options_.new_tokens, depth, sequences, bytes);
    for (int i = 0; i < options_.repetitions; ++i) {
      forward(random_tokens(std::max<int64_t>(depth, 1), vocab_), sequences);
      forward({1 % vocab_}, sequences);
      repetitions.time([&] { return limits_.read(); },
                       [&] {
                         for (int64_t t = 0; t < options_.new_tokens; ++t) forward({t % vocab_}, sequences);
                       });
      for (int64_t s = 0; s < sequences; ++s) runner_.release(static_cast<SequenceId>(s));
      stage_.advance(static_cast<uint64_t>(options_.new_tokens * sequences));
    }
    return repetitions.result();
  }

 private:
  void forward(const std::vector<int64_t>& ids, int64_t sequences) {
    std::vector<TokenSpan> spans;
    for (int64_t s = 0; s < sequences; ++s) spans.push_back({static_cast<SequenceId>(s), ids, false});
    runner_.forward(spans);
  }

  ModelRunner& runner_;
  const BenchmarkOptions& options_;
  const BenchmarkResult& weights_;
  int64_t vocab_;
  Limits& limits_;
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

/// What a token reads and multiplies: a table of embeddings that is the head too is read as the head, of experts those that are chosen.
void note_weights(BenchmarkResult& result, const ModelInfo& info) {
  const WeightKind *embedding = find_kind(info, "embedding"), *head = find_kind(info, "head");
  result.weight_bytes = info.weight_bytes;
  for (const WeightKind& weights : info.weights) {
    bool is_table = &weights == embedding;
    if (!is_table || !head) result.weight_bytes_per_token += weights.active_bytes;
    if (!is_table && &weights != head) result.prefill_weights += weights.active_elements;
  }
}

std::string_view to_string(Arithmetic arithmetic) {
  switch (arithmetic) {
    case Arithmetic::int4: return "int4";
    case Arithmetic::int8: return "int8";
    case Arithmetic::bf16: return "bf16";
    case Arithmetic::f32: break;
  }
  return "f32";
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
  PlanReport plan = compiled->plan().value_or(PlanReport{});
  result.isa = plan.isa.empty() ? instruction_set() : plan.isa;
  result.arithmetic = to_string(plan.arithmetic);
  result.threads = context->thread_count();
  note_weights(result, info);

  int64_t vocab = compiled->outputs().front().shape.rank_is_known() ? compiled->outputs().front().shape.dims().back() : 1;
  ProgressStage stage(progress, "benchmark", static_cast<uint64_t>(total_tokens(options)), "tokens");
  Limits limits(context->threads(), result.isa, plan.arithmetic);
  Stopwatch stopwatch(*runner, options, result, std::max<int64_t>(vocab, 1), limits, stage);
  for (int64_t tokens : options.prompt_tokens) result.prefill.push_back(stopwatch.prefill(tokens));
  for (int64_t depth : options.depths) result.decode.push_back(stopwatch.decode(depth, 1));
  for (int64_t sequences : options.batches) result.batch.push_back(stopwatch.decode(0, sequences));
  result.ttft_ms = result.prefill.empty() ? 0 : 1e3 * static_cast<double>(result.prefill[0].tokens) / result.prefill[0].tps;
  result.peak_rss_bytes = limits.peak_bytes();
  result.limits = measure_machine_limits(*context, result.isa);
  return result;
}

}  // namespace nibble
