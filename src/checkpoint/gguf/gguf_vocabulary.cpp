#include "checkpoint/gguf/gguf_vocabulary.hpp"

#include <algorithm>
#include <tuple>

#include "base/fail.hpp"
#include "base/utf8.hpp"
#include "checkpoint/shown.hpp"

namespace nibble {

namespace {

constexpr size_t kMaxTokens = size_t{1} << 22;
constexpr size_t kMaxPieceBytes = 512;  // trying every cut of a piece costs its length squared; sentencepiece's have 16 characters

bool is_sentencepiece_model(const GgufMetadata& metadata) {
  auto model = metadata.text("tokenizer.ggml.model").value_or("");
  if (model == "llama") return true;
  if (model == "gpt2") return false;
  fail(ErrorKind::unsupported,
       "{}: a tokenizer of the kind {} is not supported (supported: llama, gpt2): put the model's tokenizer.json beside the file",
       metadata.where(), shown(model));
}

}  // namespace

GgufVocabulary::GgufVocabulary(const GgufMetadata& source) : metadata(source), is_sentencepiece(is_sentencepiece_model(source)) {
  texts = source.texts("tokenizer.ggml.tokens");
  if (texts.empty() || texts.size() > kMaxTokens) source.reject("tokenizer.ggml.tokens", fmt::format("has {} tokens", texts.size()));
  for (int64_t type : source.integers("tokenizer.ggml.token_type")) types.push_back(static_cast<Type>(type));
  scores = source.numbers("tokenizer.ggml.scores");
  if (types.empty()) types.assign(texts.size(), Type::normal);
  if (scores.empty()) scores.assign(texts.size(), 0);
  if (types.size() != texts.size())
    source.reject("tokenizer.ggml.token_type", fmt::format("has {} entries for {} tokens", types.size(), texts.size()));
  if (scores.size() != texts.size())
    source.reject("tokenizer.ggml.scores", fmt::format("has {} entries for {} tokens", scores.size(), texts.size()));
  ids.reserve(texts.size());
  for (size_t id = 0; id < texts.size(); ++id) {
    if (!is_utf8(texts[id])) source.reject("tokenizer.ggml.tokens", fmt::format("holds what is not UTF-8: token {}", id));
    ids.emplace(texts[id], static_cast<int64_t>(id));
  }
}

std::optional<int64_t> GgufVocabulary::special(std::string_view key, std::optional<int64_t> fallback) const {
  auto id = metadata.integer(key);
  if (!id && fallback && *fallback < static_cast<int64_t>(texts.size())) id = fallback;
  if (id && (*id < 0 || *id >= static_cast<int64_t>(texts.size())))
    metadata.reject(key, fmt::format("is {}, there are {} tokens", *id, texts.size()));
  return id;
}

namespace {

struct Merge {
  double score;
  std::string_view left, right;
  int64_t left_id, right_id;
};

size_t characters(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0u) != 0x80u; }));
}

bool starts_character(std::string_view text, size_t at) { return (static_cast<unsigned char>(text[at]) & 0xc0u) != 0x80u; }

}  // namespace

std::vector<std::pair<std::string_view, std::string_view>> sentencepiece_merges(const GgufVocabulary& vocabulary) {
  using Type = GgufVocabulary::Type;
  auto mergeable = [&](size_t id) { return vocabulary.is(id, Type::normal) || vocabulary.is(id, Type::user_defined); };
  std::vector<Merge> merges;
  for (size_t id = 0; id < vocabulary.texts.size(); ++id) {
    std::string_view text = vocabulary.texts[id];
    if (!mergeable(id) || text.size() > kMaxPieceBytes || text.find(' ') != std::string_view::npos) continue;
    size_t first = merges.size();
    for (size_t cut = 1; cut < text.size(); ++cut) {
      if (!starts_character(text, cut)) continue;
      auto left = vocabulary.ids.find(text.substr(0, cut)), right = vocabulary.ids.find(text.substr(cut));
      if (left == vocabulary.ids.end() || right == vocabulary.ids.end()) continue;
      if (mergeable(static_cast<size_t>(left->second)) && mergeable(static_cast<size_t>(right->second)))
        merges.push_back({vocabulary.scores[id], left->first, right->first, left->second, right->second});
    }
    std::sort(merges.begin() + static_cast<std::ptrdiff_t>(first), merges.end(),
              [](const Merge& a, const Merge& b) { return std::tie(a.left_id, a.right_id) < std::tie(b.left_id, b.right_id); });
  }
  // Of merges with one score the longer left part comes first, as in the conversions of transformers.
  std::stable_sort(merges.begin(), merges.end(), [](const Merge& a, const Merge& b) {
    if (a.score != b.score) return a.score > b.score;
    return std::pair(characters(a.left), characters(a.right)) > std::pair(characters(b.left), characters(b.right));
  });
  std::vector<std::pair<std::string_view, std::string_view>> out;
  out.reserve(merges.size());
  for (const Merge& merge : merges) out.emplace_back(merge.left, merge.right);
  return out;
}

}  // namespace nibble
