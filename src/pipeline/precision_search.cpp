#include "pipeline/precision_search.hpp"

#include <algorithm>
#include <chrono>
#include <limits>

#include "base/fail.hpp"
#include "calibrate/weight_trials.hpp"
#include "compress/precision_ladder.hpp"
#include "compress/precision_path.hpp"
#include "ir/writer.hpp"
#include "pipeline/calibration_data.hpp"
#include "pipeline/held_out.hpp"
#include "pipeline/search_report.hpp"

namespace nibble {

namespace {

/// Tokens of all branches together that go through the model, and of one layer's.
constexpr size_t kBranchTokens = 65536, kMostTokensOfLayer = 4096;
constexpr size_t kMostBranchBytes = size_t{256} << 20;  // log-probabilities of the samples that branch off
constexpr size_t kMostTrials = 9;                       // of the divergence

/// A compressed copy of the model.
struct Candidate {
  Graph graph;
  CompressionReport compression;
  PrecisionSelection selection;
  uint64_t bytes = 0;
};

class Search {
 public:
  Search(Graph& graph, const WeightChoice& choice, const std::filesystem::path& directory, PrecisionReport& report, Context& context,
         Progress* progress)
      : graph_(graph), choice_(choice), request_(*choice.search), report_(report), context_(context), progress_(progress) {
    ladder_ = precision_ladder(graph, {choice.passes.front(), request_.int8, request_.floats});
    if (ladder_.empty()) fail(ErrorKind::invalid_argument, "the model has no float weights to choose a precision for");
    fix_unmeasurable();
    samples_ = split_samples(calibration_samples(request_.data, directory, context, false));
  }

  CompressionReport run() {
    report_.budget_bytes = request_.budget_bytes;
    report_.max_kl = request_.max_kl;
    find_smallest();
    measure_losses();
    Candidate chosen = request_.budget_bytes ? within_budget() : within_divergence();
    report_.bytes = chosen.bytes;
    report_.predicted_kl = chosen.selection.loss;
    report_.weights = decisions(ladder_, prices_, is_measured_, chosen.selection);
    graph_ = std::move(chosen.graph);
    return std::move(chosen.compression);
  }

 private:
  AssignedPrecisions assigned(const PrecisionSelection& selection) const {
    AssignedPrecisions precisions;
    for (size_t i = 0; i < ladder_.size(); ++i)
      if (auto config = ladder_[i].rungs[selection.choices[i]].config) precisions.emplace(ladder_[i].constant->name(), *config);
    return precisions;
  }

  Candidate make(PrecisionSelection selection, bool with_methods = true) {
    Candidate candidate{copy_graph(graph_), {}, std::move(selection), 0};
    WeightCompression pass = choice_.passes.front();
    pass.assigned = assigned(candidate.selection);
    pass.group_size_fallback = GroupSizeFallbackMode::error;
    bool has_few_bits =
        std::any_of(pass.assigned->begin(), pass.assigned->end(), [](const auto& entry) { return !is_int8(entry.second.mode); });
    if (!with_methods || !has_few_bits) pass.awq = pass.scale_estimation = pass.gptq = std::nullopt;
    std::unique_ptr<Calibration> data;
    if (with_methods && has_few_bits && request_.methods_take_data) {
      LockstepOptions options;
      if (request_.data.in_f32) options.precision = ProductPrecision::f32;
      data = std::make_unique<LockstepCalibration>(samples_.chosen_by, context_, progress_, options);
    }
    candidate.compression = compress_weights(candidate.graph, pass, context_, progress_, data.get());
    candidate.bytes = ir_bin_size(candidate.graph);
    return candidate;
  }

  /// What the smallest precisions come to, before anything is measured.
  void find_smallest() {
    PrecisionSelection smallest{std::vector<size_t>(ladder_.size(), 0), 0, 0};
    report_.smallest_bytes = make(smallest, false).bytes;
    if (request_.budget_bytes && *request_.budget_bytes < report_.smallest_bytes) refuse_budget(report_.smallest_bytes);
  }

  [[noreturn]] void refuse_budget(uint64_t smallest) const {
    fail(ErrorKind::invalid_argument,
         "a budget of {:.6f} GB ({} bytes) cannot be met: with the lowest precisions ({} and the like) the weights take {} bytes; give "
         "{:.6f} "
         "GB or more, or a lower precision (a larger group size, --sym)",
         static_cast<double>(*request_.budget_bytes) / 1e9, *request_.budget_bytes, to_string(choice_.passes.front().mode), smallest,
         static_cast<double>(smallest + 999) / 1e9);
  }

  void measure_losses() {
    std::vector<WeightTrial> trials;
    ModeLevels levels = levels_of(choice_.passes.front());
    for (const LadderWeight& weight : ladder_)
      for (const WeightedLayer& reader : weight.readers)
        if (weight.rungs.front().config) trials.push_back(trial_of(weight, reader, levels));
    auto outcomes = try_weights(graph_, trial_samples(trials.size()), trials, trial_options(trials.size()), context_, progress_);
    for (const LadderWeight& weight : ladder_) price(weight, outcomes);
    path_.emplace(prices_);
  }

  static WeightTrial trial_of(const LadderWeight& weight, const WeightedLayer& reader, const ModeLevels& levels) {
    WeightTrial trial{reader.layer, 0, {}};
    for (const LadderRung& rung : weight.rungs) trial.versions += rung.config.has_value();
    trial.make = [&weight, reader, levels](size_t index) {
      size_t seen = 0;
      for (const LadderRung& rung : weight.rungs)
        if (rung.config && seen++ == index) return copy_compressed(weight, reader, *rung.config, levels);
      fail(ErrorKind::invalid_argument, "a weight has no version {}", index);
    };
    return trial;
  }

  size_t branched_samples(size_t layers) const {
    size_t rows = std::min(kBranchTokens / std::max<size_t>(layers, 1), kMostTokensOfLayer), count = 0;
    if (Node* result = graph_.find_result("logits"))
      if (int64_t vocabulary = result->input(0).shape().rank_is_known() ? result->input(0).shape().dims().back() : 0; vocabulary > 0)
        rows = std::min(rows, kMostBranchBytes / sizeof(float) / static_cast<size_t>(vocabulary));
    for (size_t tokens = 0; count < samples_.chosen_by.size() && (count == 0 || tokens + samples_.chosen_by[count].size() <= rows); ++count)
      tokens += samples_.chosen_by[count].size();
    return count;
  }

  TrialOptions trial_options(size_t layers) const {
    TrialOptions options{branched_samples(layers), {}};
    options.lockstep.precision = ProductPrecision::f32;
    return options;
  }

  /// As many as branch off, and some more for the errors of the layers' outputs.
  std::vector<std::vector<int64_t>> trial_samples(size_t layers) const {
    constexpr size_t kTokens = 1024;
    size_t count = branched_samples(layers), tokens = 0;
    for (size_t i = 0; i < count; ++i) tokens += samples_.chosen_by[i].size();
    for (; count < samples_.chosen_by.size() && tokens < kTokens; ++count) tokens += samples_.chosen_by[count].size();
    return {samples_.chosen_by.begin(), samples_.chosen_by.begin() + static_cast<std::ptrdiff_t>(count)};
  }

  /// The divergence of the coarsest precision, and of finer ones by as much less as their outputs are off: for small errors the
  /// divergence grows with their square. A weight with several readers has the losses of all.
  void price(const LadderWeight& weight, const std::unordered_map<const Node*, TrialOutcome>& outcomes) {
    std::vector<PrecisionPrice> prices;
    for (const LadderRung& rung : weight.rungs) prices.push_back({rung.bytes, 0});
    for (const WeightedLayer& reader : weight.readers) {
      auto found = outcomes.find(reader.layer);
      if (found == outcomes.end()) continue;
      const TrialOutcome& outcome = found->second;
      size_t version = 0;
      for (size_t r = 0; r < weight.rungs.size(); ++r)
        if (weight.rungs[r].config) {
          double error = outcome.errors[version++];
          if (outcome.errors[0] > 0) prices[r].loss += outcome.divergence * error / outcome.errors[0];
        }
    }
    prices_.push_back(std::move(prices));
  }

  /// Of weights that cannot be tried nothing is known: they get 8 bits, which are nearly as good as floats, and no choice.
  void fix_unmeasurable() {
    SampleDependence dependence(graph_.topological_order());
    auto has_8_bits = [](const LadderRung& rung) { return rung.config && is_int8(rung.config->mode); };
    for (LadderWeight& weight : ladder_) {
      bool can_measure = std::any_of(weight.readers.begin(), weight.readers.end(),
                                     [&](const WeightedLayer& reader) { return can_be_tried(*reader.layer, dependence); });
      is_measured_.push_back(can_measure);
      if (can_measure) continue;
      auto found = std::find_if(weight.rungs.begin(), weight.rungs.end(), has_8_bits);
      weight.rungs = {found != weight.rungs.end() ? *found : weight.rungs.back()};
    }
  }

  Candidate within_budget() {
    uint64_t budget = *request_.budget_bytes, originals = 0;
    for (const LadderWeight& weight : ladder_) originals += weight.constant->constant().byte_size();
    uint64_t others = ir_bin_size(graph_) - std::min(ir_bin_size(graph_), originals);
    uint64_t target = budget - std::min(others, budget);
    for (;;) {
      Candidate candidate = make(path_->within(target));
      if (candidate.bytes <= budget) {
        verify(candidate);
        return candidate;
      }
      // What is not part of any weight: shapes, scales of activations. A little less for the weights.
      uint64_t excess = candidate.bytes - budget;
      if (candidate.selection.bytes <= path_->after(0).bytes) refuse_budget(candidate.bytes);
      target = std::min(target, candidate.selection.bytes) - std::min(excess, std::min(target, candidate.selection.bytes));
    }
  }

  void note(const MeasuredDistance& measured) {
    report_.measured_kl = measured.mean_kl;
    report_.top1_agreement = measured.top1_agreement;
    report_.measured_tokens = measured.tokens;
  }

  /// The budget is met whether the divergence can be measured or not.
  void verify(const Candidate& candidate) {
    try {
      note(HeldOutMeter(graph_, samples_.held_out, context_).measure(candidate.graph));
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::exhausted && error.kind() != ErrorKind::unsupported) throw;
      report_.not_measured = error.what();
    }
  }

  /// The smallest number of steps whose model keeps the limit, as far as trials go: guesses by what was measured before, between the last
  /// one that failed and the first that did not.
  Candidate within_divergence() {
    HeldOutMeter meter(graph_, samples_.held_out, context_);
    double limit = *request_.max_kl, per_predicted = 1;
    size_t best = path_->steps().size() + 1, failed = 0;  // a number of steps, and how many too few there are
    std::optional<Candidate> kept;
    MeasuredDistance of_kept;
    size_t guess = path_->steps_to(limit);
    while (failed < best && report_.trials.size() < kMostTrials) {
      guess = std::clamp(guess, failed, best - 1);
      Candidate candidate = make(path_->after(guess));
      MeasuredDistance measured = meter.measure(candidate.graph);
      report_.trials.push_back({candidate.bytes, candidate.selection.loss, measured.mean_kl});
      if (candidate.selection.loss > 0 && measured.mean_kl > 0) per_predicted = measured.mean_kl / candidate.selection.loss;
      bool is_kept = measured.mean_kl <= limit;
      size_t tried = guess;
      if (is_kept) kept = std::move(candidate), of_kept = measured, best = tried;
      if (!is_kept) failed = tried + 1;
      guess = path_->steps_to(limit / per_predicted);
      if (guess >= best || guess < failed) guess = failed + (best - failed) / 2;
    }
    if (!kept) kept = best_of_all(meter, of_kept);
    note(of_kept);
    return std::move(*kept);
  }

  /// The last resort: all steps.
  Candidate best_of_all(const HeldOutMeter& meter, MeasuredDistance& measured) {
    Candidate candidate = make(path_->after(path_->steps().size()));
    measured = meter.measure(candidate.graph);
    if (measured.mean_kl > *request_.max_kl)
      fail(ErrorKind::unsupported,
           "a KL divergence of {} cannot be kept: the best that the precisions allow has {:.6g} ({} bytes), measured on {} tokens of the "
           "data; "
           "raise the limit{}",
           *request_.max_kl, measured.mean_kl, candidate.bytes, measured.tokens,
           request_.floats ? "" : ", or leave --backup-precision out, so that weights may stay floats");
    return candidate;
  }

  Graph& graph_;
  const WeightChoice& choice_;
  const SearchRequest& request_;
  PrecisionReport& report_;
  Context& context_;
  Progress* progress_;
  std::vector<LadderWeight> ladder_;
  SplitSamples samples_;
  std::vector<std::vector<PrecisionPrice>> prices_;
  std::vector<bool> is_measured_;
  std::optional<PrecisionPath> path_;
};

}  // namespace

PrecisionSearcher precision_searcher(std::filesystem::path directory) {
  return [directory = std::move(directory)](Graph& graph, const WeightChoice& choice, PrecisionReport& report, Context& context,
                                            Progress* progress) {
    auto start = std::chrono::steady_clock::now();
    CompressionReport compression = Search(graph, choice, directory, report, context, progress).run();
    report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return compression;
  };
}

}  // namespace nibble
