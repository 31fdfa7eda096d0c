#include "tokenizer/models/unigram.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <limits>

#include "base/utf8.hpp"
#include "tokenizer/byte_level.hpp"
#include "tokenizer/models/makers.hpp"

namespace nibble::tokenizer {

namespace {
constexpr double kUnknownPenalty = 10;  // below the worst piece, as in sentencepiece
}

Unigram::Unigram(Vocabulary vocabulary, std::vector<double> scores, std::optional<uint32_t> unknown, bool byte_fallback)
    : Model(std::move(vocabulary)), scores_(std::move(scores)), unknown_(unknown) {
  const double worst = scores_.empty() ? 0 : *std::min_element(scores_.begin(), scores_.end());
  unknown_score_ = worst - kUnknownPenalty;
  std::vector<std::pair<std::string_view, int32_t>> entries;
  vocabulary_.for_each([&](std::string_view token, uint32_t id) { entries.emplace_back(token, static_cast<int32_t>(id)); });
  trie_ = ByteTrie(std::move(entries));
  if (!byte_fallback) return;
  for (unsigned byte = 0; byte < 256; ++byte) bytes_[byte] = vocabulary_.find(byte_token(static_cast<unsigned char>(byte)));
}

/// The best way to reach every position (Viterbi); a character that no piece covers is one unknown step.
std::vector<Unigram::Step> Unigram::best_steps(std::string_view piece) const {
  std::vector<Step> best(piece.size() + 1);
  for (size_t begin = 0; begin < piece.size();) {
    const double score = best[begin].score;
    const size_t character = code_point_at(piece, begin).size;
    bool covered = false;
    const auto offer = [&](size_t end, double candidate, uint32_t id) {
      if (best[end].begin == kUnreached || candidate > best[end].score) best[end] = {id, candidate, begin};
    };
    trie_.for_each_prefix(piece.substr(begin), [&](size_t length, int32_t id) {
      offer(begin + length, score + scores_[static_cast<size_t>(id)], static_cast<uint32_t>(id));
      covered = covered || length == character;
    });
    if (!covered) {
      if (!unknown_) fail_unknown(piece.substr(begin, character));
      offer(begin + character, score + unknown_score_, *unknown_);
    }
    begin += character;
  }
  return best;
}

void Unigram::tokenize(std::string_view piece, std::vector<ModelToken>& tokens) const {
  const std::vector<Step> best = best_steps(piece);
  std::vector<std::pair<size_t, size_t>> ranges;  // from the end; neighbouring unknown steps are one
  bool after_unknown = false;
  for (size_t end = piece.size(); end > 0; end = best[end].begin) {
    const bool unknown = unknown_ && best[end].id == *unknown_;
    if (unknown && after_unknown) {
      ranges.back().first = best[end].begin;
    } else {
      ranges.emplace_back(best[end].begin, end);
    }
    after_unknown = unknown;
  }
  for (auto range = ranges.rbegin(); range != ranges.rend(); ++range) add(piece, range->first, range->second, tokens);
}

void Unigram::add(std::string_view piece, size_t begin, size_t end, std::vector<ModelToken>& tokens) const {
  const std::string_view text = piece.substr(begin, end - begin);
  const auto from = static_cast<uint32_t>(begin), to = static_cast<uint32_t>(end);
  const auto id_of = [this](char c) { return bytes_[static_cast<unsigned char>(c)]; };
  if (const auto id = vocabulary_.find(text)) return tokens.push_back({*id, from, to});
  if (std::all_of(text.begin(), text.end(), [&](char c) { return id_of(c).has_value(); })) {
    for (char c : text) tokens.push_back({*id_of(c), from, to});
  } else {
    if (!unknown_) fail_unknown(text);
    tokens.push_back({*unknown_, from, to});
  }
}

namespace {

/// To the nearest double, as a table holds them.
double power_of_ten(int exponent) {
  constexpr int kLargest = 308;
  static const auto powers = [] {
    std::array<double, kLargest + 1> table{};
    for (int i = 0; i <= kLargest; ++i) {
      const std::string text = "1e" + std::to_string(i);
      std::from_chars(text.data(), text.data() + text.size(), table[static_cast<size_t>(i)]);
    }
    return table;
  }();
  return powers[static_cast<size_t>(std::min(exponent, kLargest))];
}

/// The `tokenizers` library reads a number as its digits divided by a power of ten, which may be off by the last bit (serde_json without
/// float_roundtrip). Sums of scores that should be equal are told apart by that.
double as_read_by_tokenizers(double score) {
  char text[32];
  const auto [end, error] = std::to_chars(text, text + sizeof(text), score, std::chars_format::scientific);
  uint64_t digits = 0;
  int fraction = 0;
  const char* at = text + (score < 0);
  for (bool behind_point = false; at < end && *at != 'e'; ++at) {
    if (*at == '.') {
      behind_point = true;
      continue;
    }
    digits = digits * 10 + static_cast<uint64_t>(*at - '0');
    fraction += behind_point;
  }
  int exponent = 0;
  if (at + 2 < end) std::from_chars(at + (at[1] == '+' ? 2 : 1), end, exponent);
  const auto value = static_cast<double>(digits);
  exponent -= fraction;
  const double power = power_of_ten(std::abs(exponent));
  const double result = exponent < 0 ? value / power : value * power;
  return score < 0 ? -result : result;
}

}  // namespace

std::unique_ptr<const Model> make_unigram(const JsonView& view, const ModelLists& lists) {
  const JsonView vocab = view.at("vocab");
  if (!vocab.raw().is_array()) vocab.reject("must be an array of [token, score] pairs");
  Vocabulary vocabulary;
  vocabulary.reserve(lists.scores.size());
  std::vector<double> scores;
  scores.reserve(lists.scores.size());
  for (const auto& [token, score] : lists.scores) {
    vocabulary.insert(token, static_cast<uint32_t>(std::min<size_t>(scores.size(), 0xFFFFFFFF)));
    scores.push_back(as_read_by_tokenizers(score));
  }
  std::optional<uint32_t> unknown;
  if (const auto id = view.find("unk_id")) {
    if (scores.empty()) vocab.reject("is empty");
    unknown = static_cast<uint32_t>(id->integer(scores.size() - 1));
  }
  return std::make_unique<Unigram>(std::move(vocabulary), std::move(scores), unknown, view.boolean_or("byte_fallback", false));
}

}  // namespace nibble::tokenizer
