#include "cli/compression_details.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace nibble::cli {

namespace {

using Table = std::vector<std::vector<std::string>>;

constexpr size_t kMostSensitive = 8;

std::string bytes_text(uint64_t bytes) { return human_bytes(static_cast<double>(bytes)); }

std::string bits_text(uint64_t bytes, uint64_t elements) {
  return elements ? fmt::format("{:.2f}", 8.0 * static_cast<double>(bytes) / static_cast<double>(elements)) : "";
}

template <class T>
json or_null(const std::optional<T>& value) {
  return value ? json(*value) : json();
}

json to_json(const WeightDecision& weight) {
  json options = json::array();
  for (const PrecisionOption& option : weight.options)
    options.push_back({{"precision", option.precision}, {"bytes", option.bytes}, {"loss", or_null(option.loss)}});
  return {{"name", weight.name},
          {"kind", weight.kind},
          {"precision", weight.precision},
          {"elements", weight.elements},
          {"bytes", weight.bytes},
          {"loss", or_null(weight.loss)},
          {"gain_per_byte", weight.gain_per_byte},
          {"next_gain_per_byte", weight.next_gain_per_byte},
          {"reason", weight.reason},
          {"options", std::move(options)}};
}

json to_json(const PrecisionReport& search) {
  json weights = json::array(), trials = json::array();
  for (const WeightDecision& weight : search.weights) weights.push_back(to_json(weight));
  for (const PrecisionTrial& trial : search.trials)
    trials.push_back({{"bytes", trial.bytes}, {"predicted_kl", trial.predicted_kl}, {"measured_kl", trial.measured_kl}});
  return {{"budget_bytes", or_null(search.budget_bytes)},
          {"max_kl", or_null(search.max_kl)},
          {"smallest_bytes", search.smallest_bytes},
          {"bytes", search.bytes},
          {"predicted_kl", search.predicted_kl},
          {"measured_kl", or_null(search.measured_kl)},
          {"top1_agreement", or_null(search.top1_agreement)},
          {"measured_tokens", search.measured_tokens},
          {"not_measured", search.not_measured},
          {"trials", std::move(trials)},
          {"weights", std::move(weights)},
          {"seconds", search.seconds}};
}

json to_json(const Evaluation& e) {
  return {{"model", perplexity_json(e.model)},
          {"source", perplexity_json(*e.reference)},
          {"mean_kl", e.divergence->mean_kl},
          {"top1_agreement", e.divergence->top1_agreement}};
}

void print_rows(const std::vector<WeightRow>& rows) {
  Table table{{"layers", "precision", "count", "bytes", "bits"}};
  uint64_t bytes = 0;
  for (const WeightRow& row : rows) {
    bytes += row.bytes;
    table.push_back({row.kind, row.precision, row.count ? fmt::format("{}", row.count) : "", fmt::format("{}", row.bytes),
                     bits_text(row.bytes, row.elements)});
  }
  table.push_back({"sum", "", "", fmt::format("{}", bytes), ""});
  print("\n" + format_table(table));
}

void print_memory(const MemoryEstimate& m) {
  print(fmt::format("memory to run, for {} tokens of context: about {} ({} weights, {} KV cache, {} activations)\n", m.context_length,
                    bytes_text(m.total()), bytes_text(m.weights), bytes_text(m.kv_cache), bytes_text(m.activations)));
}

/// What kinds of layers got, and what it costs.
void print_kinds(const std::vector<WeightDecision>& weights) {
  struct Sum {
    uint64_t count = 0, bytes = 0;
    double loss = 0;
  };
  std::map<std::pair<std::string, std::string>, Sum> sums;
  for (const WeightDecision& weight : weights) {
    Sum& sum = sums[{weight.kind, weight.precision}];
    ++sum.count;
    sum.bytes += weight.bytes;
    sum.loss += weight.loss.value_or(0);
  }
  Table table{{"chosen for", "precision", "count", "bytes", "predicted KL"}};
  for (const auto& [key, sum] : sums)
    table.push_back({key.first, key.second, fmt::format("{}", sum.count), fmt::format("{}", sum.bytes), fmt::format("{:.6f}", sum.loss)});
  print("\n" + format_table(table));
}

/// The layers that would lose most if they were as small as can be.
void print_sensitive(std::vector<WeightDecision> weights) {
  auto cost = [](const WeightDecision& weight) { return weight.options.front().loss.value_or(0); };
  std::stable_sort(weights.begin(), weights.end(), [&](const auto& a, const auto& b) { return cost(a) > cost(b); });
  weights.resize(std::min(weights.size(), kMostSensitive));
  Table table{{"most sensitive", "KL at the smallest", "got", "why"}};
  for (const WeightDecision& weight : weights)
    table.push_back({weight.name, fmt::format("{:.6f}", cost(weight)), weight.precision, weight.reason});
  print("\n" + format_table(table));
}

void print_search(const PrecisionReport& search) {
  print_kinds(search.weights);
  print_sensitive(search.weights);
  print(search.budget_bytes
            ? fmt::format("\nbudget {} bytes, used {}", *search.budget_bytes, search.bytes)
            : fmt::format("\nKL limit {}, kept with {} bytes after {} trials", *search.max_kl, search.bytes, search.trials.size()));
  print(fmt::format("; the smallest would be {}\nKL divergence from the source: predicted {:.6f}", search.smallest_bytes,
                    search.predicted_kl));
  if (search.measured_kl)
    print(fmt::format(", measured {:.6f}, the same best token at {:.2f} % of {} held-out tokens\n", *search.measured_kl,
                      100 * search.top1_agreement.value_or(0), search.measured_tokens));
  else
    print(fmt::format(", not measured: {}\n", search.not_measured));
}

void print_evaluation(const Evaluation& e) {
  print(fmt::format("perplexity {:.4f} (source: {:.4f}), KL divergence {:.6f}, the same best token at {:.2f} % of {} tokens\n",
                    e.model.perplexity, e.reference->perplexity, e.divergence->mean_kl, 100 * e.divergence->top1_agreement,
                    e.model.predicted_tokens));
}

}  // namespace

json perplexity_json(const Perplexity& p) {
  return {{"perplexity", p.perplexity},
          {"nll_per_token", p.nll_per_token},
          {"tokens", p.tokens},
          {"predicted_tokens", p.predicted_tokens},
          {"seconds", p.seconds}};
}

void add_details(json& document, const CompressionDetails& details) {
  json rows = json::array();
  for (const WeightRow& row : details.rows)
    rows.push_back(
        {{"kind", row.kind}, {"precision", row.precision}, {"count", row.count}, {"elements", row.elements}, {"bytes", row.bytes}});
  const MemoryEstimate& m = details.memory;
  document["rows"] = std::move(rows);
  document["memory"] = {{"context_length", m.context_length},
                        {"weights", m.weights},
                        {"kv_cache", m.kv_cache},
                        {"activations", m.activations},
                        {"total", m.total()}};
  if (details.search) document["search"] = to_json(*details.search);
  if (details.evaluation) document["evaluation"] = to_json(*details.evaluation);
  if (!details.evaluation_obstacle.empty()) document["evaluation_obstacle"] = details.evaluation_obstacle;
}

void print_details(const CompressionDetails& details) {
  if (details.search) print_search(*details.search);
  print_rows(details.rows);
  print_memory(details.memory);
  if (details.evaluation) print_evaluation(*details.evaluation);
  if (!details.evaluation_obstacle.empty()) print(details.evaluation_obstacle + "\n");
}

}  // namespace nibble::cli
