#include "pipeline/search_report.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "pipeline/weight_kind.hpp"

namespace nibble {

namespace {

double per_byte(const PrecisionPrice& from, const PrecisionPrice& to) {
  return to.bytes > from.bytes ? (from.loss - to.loss) / static_cast<double>(to.bytes - from.bytes) : 0;
}

std::string kind_of(const LadderWeight& weight) {
  std::string kind = weight_kind(weight.constant->name(), *weight.readers.front().layer);
  for (const WeightedLayer& reader : weight.readers)
    if (kind == "embedding" && feeds_result(*reader.layer)) return "embedding and head";
  return kind;
}

/// The dearer option that takes away most per byte; nothing where none takes anything away.
size_t best_next(const std::vector<PrecisionPrice>& prices, size_t chosen) {
  size_t best = chosen;
  for (size_t i = chosen + 1; i < prices.size(); ++i) {
    double gain = per_byte(prices[chosen], prices[i]);
    if (gain > 0 && (best == chosen || gain > per_byte(prices[chosen], prices[best]))) best = i;
  }
  return best;
}

std::string reason_of(const WeightDecision& decision, size_t chosen, size_t next) {
  constexpr double kKilobyte = 1000;
  if (decision.options.size() == 1) return "the only precision there is for it";
  std::string text;
  if (chosen > 0)
    text = fmt::format("{} instead of {} takes {:.2g} nats away per kB", decision.precision, decision.options.front().precision,
                       kKilobyte * decision.gain_per_byte);
  if (next == chosen) return chosen > 0 ? text : "finer precisions take nothing away";
  return fmt::format("{}{}{} would take away {:.2g}{}", text, chosen > 0 ? "; " : "", decision.options[next].precision,
                     kKilobyte * decision.next_gain_per_byte, chosen > 0 ? " more" : " nats per kB: others take more");
}

}  // namespace

std::vector<WeightDecision> decisions(const std::vector<LadderWeight>& ladder, const std::vector<std::vector<PrecisionPrice>>& prices,
                                      const std::vector<bool>& is_measured, const PrecisionSelection& selection) {
  std::vector<WeightDecision> list;
  for (size_t i = 0; i < ladder.size(); ++i) {
    const LadderWeight& weight = ladder[i];
    size_t chosen = selection.choices[i], next = best_next(prices[i], chosen);
    WeightDecision decision;
    decision.name = weight.constant->name();
    decision.kind = kind_of(weight);
    decision.elements = weight.elements;
    for (size_t r = 0; r < weight.rungs.size(); ++r)
      decision.options.push_back({precision_name(weight.rungs[r], weight.constant->constant().type()), weight.rungs[r].bytes,
                                  is_measured[i] ? std::optional(prices[i][r].loss) : std::nullopt});
    decision.precision = decision.options[chosen].precision;
    decision.bytes = decision.options[chosen].bytes;
    decision.loss = decision.options[chosen].loss;
    decision.gain_per_byte = per_byte(prices[i].front(), prices[i][chosen]);
    decision.next_gain_per_byte = next == chosen ? 0 : per_byte(prices[i][chosen], prices[i][next]);
    decision.reason = is_measured[i] ? reason_of(decision, chosen, next) : "could not be measured: 8 bits, or what is nearest";
    list.push_back(std::move(decision));
  }
  return list;
}

}  // namespace nibble
