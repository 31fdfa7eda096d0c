#include "nibble/evaluate.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/fail.hpp"
#include "nibble/tokenizer.hpp"
#include "pipeline/progress_stage.hpp"

namespace nibble {

namespace {

std::vector<double> log_softmax(std::span<const float> logits) {
  double best = *std::max_element(logits.begin(), logits.end()), sum = 0;
  for (float v : logits) sum += std::exp(v - best);
  double log_sum = best + std::log(sum);
  std::vector<double> result(logits.size());
  for (size_t i = 0; i < logits.size(); ++i) result[i] = logits[i] - log_sum;
  return result;
}

/// Adds up what the windows of a text give.
struct Sums {
  double nll = 0, kl = 0;
  size_t predicted = 0, agreed = 0;
};

/// Runs a window and adds the likelihood of its tokens; gives the log-probabilities by place.
std::vector<std::vector<double>> run_window(LanguageModel& model, const std::vector<int64_t>& ids, Sums& sums) {
  Tensor logits = model.logits({ids});
  auto vocab = static_cast<size_t>(logits.shape()[2]);
  std::vector<std::vector<double>> places;
  for (size_t i = 0; i + 1 < ids.size(); ++i) {
    places.push_back(log_softmax(logits.as<float>().subspan(i * vocab, vocab)));
    auto next = static_cast<size_t>(ids[i + 1]);
    if (next >= vocab)
      fail(ErrorKind::invalid_argument, "token {} is beyond the model's vocabulary of {}: is this its tokenizer?", next, vocab);
    sums.nll -= places.back()[next];
    ++sums.predicted;
  }
  return places;
}

void compare(const std::vector<std::vector<double>>& model, const std::vector<std::vector<double>>& reference, Sums& sums) {
  for (size_t i = 0; i < model.size(); ++i) {
    const auto &p = reference[i], &q = model[i];
    if (p.size() != q.size()) fail(ErrorKind::invalid_argument, "the two models have vocabularies of {} and {} tokens", p.size(), q.size());
    for (size_t t = 0; t < p.size(); ++t) sums.kl += std::exp(p[t]) * (p[t] - q[t]);
    sums.agreed += std::max_element(p.begin(), p.end()) - p.begin() == std::max_element(q.begin(), q.end()) - q.begin();
  }
}

Perplexity summary(const Sums& sums, size_t tokens, double seconds) {
  double nll = sums.nll / static_cast<double>(std::max<size_t>(sums.predicted, 1));
  return {std::exp(nll), nll, tokens, sums.predicted, seconds};
}

}  // namespace

Evaluation evaluate(LanguageModel& model, LanguageModel* reference, const std::filesystem::path& tokenizer_directory, std::string_view text,
                    size_t window, Progress* progress) {
  if (window < 2) fail(ErrorKind::invalid_argument, "a window of {} tokens predicts nothing: use at least 2", window);
  auto start = std::chrono::steady_clock::now();
  auto elapsed = [&start] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); };
  std::vector<int64_t> ids = Tokenizer(tokenizer_directory).encode(text, {.add_special_tokens = false}).ids;
  if (ids.size() < 2) fail(ErrorKind::invalid_argument, "the text has {} tokens, at least 2 are needed", ids.size());

  Sums sums, reference_sums;
  double model_seconds = 0, reference_seconds = 0;
  ProgressStage stage(progress, "evaluation", ids.size(), "tokens");
  for (size_t begin = 0; begin < ids.size(); begin += window) {
    std::vector<int64_t> part(ids.begin() + static_cast<std::ptrdiff_t>(begin),
                              ids.begin() + static_cast<std::ptrdiff_t>(std::min(begin + window, ids.size())));
    stage.advance(part.size());
    if (part.size() < 2) continue;
    start = std::chrono::steady_clock::now();
    auto places = run_window(model, part, sums);
    model_seconds += elapsed();
    if (!reference) continue;
    start = std::chrono::steady_clock::now();
    compare(places, run_window(*reference, part, reference_sums), sums);
    reference_seconds += elapsed();
  }
  Evaluation result{summary(sums, ids.size(), model_seconds), std::nullopt, std::nullopt};
  if (reference) {
    result.reference = summary(reference_sums, ids.size(), reference_seconds);
    double count = static_cast<double>(std::max<size_t>(sums.predicted, 1));
    result.divergence = Divergence{sums.kl / count, static_cast<double>(sums.agreed) / count};
  }
  return result;
}

}  // namespace nibble
