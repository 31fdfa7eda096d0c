#include "tokenizer/models/model_lists.hpp"

#include "base/fail.hpp"
#include "tokenizer/vocabulary.hpp"

namespace nibble::tokenizer {
namespace {

using json = nlohmann::json;

void read_tokens(const JsonView& vocab, ModelLists& lists) {
  const json& entries = vocab.raw();
  lists.tokens.reserve(entries.size());
  for (auto entry = entries.begin(); entry != entries.end(); ++entry)
    lists.add_token(entry.key(), entry->is_number_unsigned() ? std::optional(entry->get<uint64_t>()) : std::nullopt, vocab);
}

void read_scores(const JsonView& vocab, ModelLists& lists) {
  lists.scores.reserve(vocab.raw().size());
  for (const json& entry : vocab.raw()) {
    if (!entry.is_array() || entry.size() != 2 || !entry[0].is_string() || !entry[1].is_number()) reject_score(vocab, lists.scores.size());
    lists.scores.emplace_back(entry[0].get_ref<const std::string&>(), entry[1].get<double>());
  }
}

void read_merges(const JsonView& merges, ModelLists& lists) {
  if (!merges.raw().is_array()) merges.reject("must be an array");
  lists.merges.reserve(merges.raw().size());
  for (size_t i = 0; i < merges.raw().size(); ++i) {
    const json& entry = merges.raw()[i];
    if (entry.is_string())
      lists.add_merge_line(entry.get_ref<const std::string&>(), i, merges);
    else if (entry.is_array() && entry.size() == 2 && entry[0].is_string() && entry[1].is_string())
      lists.add_merge(entry[0].get_ref<const std::string&>(), entry[1].get_ref<const std::string&>());
    else
      reject_merge(merges, i);
  }
}

}  // namespace

void reject_merge(const JsonView& list, size_t index) { list.reject(fmt::format("has an entry ({}) that is no pair of tokens", index)); }

void reject_score(const JsonView& list, size_t index) {
  list.reject(fmt::format("must hold [token, score] pairs, entry {} is none", index));
}

void ModelLists::add_token(std::string_view token, std::optional<uint64_t> id, const JsonView& list) {
  if (!id || *id > Vocabulary::kMaxId)
    list.reject(fmt::format("has \"{}\" with an id that is no integer from 0 to {}", token, Vocabulary::kMaxId));
  tokens.emplace_back(token, static_cast<uint32_t>(*id));
}

void ModelLists::add_merge_line(std::string_view line, size_t index, const JsonView& list) {
  if (line.starts_with("#version")) return;
  const size_t space = line.find(' ');
  if (space == std::string_view::npos || line.find(' ', space + 1) != std::string_view::npos) reject_merge(list, index);
  add_merge(line.substr(0, space), line.substr(space + 1));
}

ModelLists model_lists(const JsonView& model) {
  ModelLists lists;
  const JsonView vocab = model.at("vocab");
  if (vocab.raw().is_object())
    read_tokens(vocab, lists);
  else if (vocab.raw().is_array())
    read_scores(vocab, lists);
  if (const auto merges = model.find("merges")) read_merges(*merges, lists);
  return lists;
}

}  // namespace nibble::tokenizer
