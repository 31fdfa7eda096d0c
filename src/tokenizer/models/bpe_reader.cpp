#include "base/fail.hpp"
#include "tokenizer/models/bpe.hpp"
#include "tokenizer/models/makers.hpp"

namespace nibble::tokenizer {
namespace {

/// The two sides of a merge: ["a", "b"] or "a b".
std::pair<std::string_view, std::string_view> sides_of(const JsonView& merges, size_t index) {
  const nlohmann::json& entry = merges.raw()[index];
  if (entry.is_array() && entry.size() == 2 && entry[0].is_string() && entry[1].is_string()) {
    return {entry[0].get_ref<const std::string&>(), entry[1].get_ref<const std::string&>()};
  }
  if (entry.is_string()) {
    const std::string_view line = entry.get_ref<const std::string&>();
    const size_t space = line.find(' ');
    if (space != std::string_view::npos && line.find(' ', space + 1) == std::string_view::npos)
      return {line.substr(0, space), line.substr(space + 1)};
  }
  merges.reject(fmt::format("has an entry ({}) that is no pair of tokens", index));
}

MergeTable read_merges(const JsonView& merges, const Vocabulary& vocabulary, std::string_view prefix) {
  if (!merges.raw().is_array()) merges.reject("must be an array");
  MergeTable table;
  table.reserve(merges.raw().size());
  std::string joined;
  uint32_t rank = 0;
  for (size_t i = 0; i < merges.raw().size(); ++i) {
    const nlohmann::json& entry = merges.raw()[i];
    if (entry.is_string() && entry.get_ref<const std::string&>().starts_with("#version")) continue;
    const auto [left, right] = sides_of(merges, i);
    joined.assign(left).append(right.substr(std::min(prefix.size(), right.size())));
    const auto left_id = vocabulary.find(left), right_id = vocabulary.find(right), id = vocabulary.find(joined);
    if (!left_id || !right_id || !id) {
      const std::string_view missing = !left_id ? left : !right_id ? right : std::string_view(joined);
      merges.reject(fmt::format("merges \"{}\" and \"{}\" (entry {}), but \"{}\" is not in the vocabulary", left, right, i, missing));
    }
    table.insert(*left_id, *right_id, {rank++, *id});
  }
  return table;
}

}  // namespace

std::unique_ptr<const Model> make_bpe(const JsonView& view) {
  BpeOptions options;
  options.unk_token = view.optional_string("unk_token");
  options.continuing_subword_prefix = view.string_or("continuing_subword_prefix", "");
  options.end_of_word_suffix = view.string_or("end_of_word_suffix", "");
  options.fuse_unk = view.boolean_or("fuse_unk", false);
  options.byte_fallback = view.boolean_or("byte_fallback", false);
  options.ignore_merges = view.boolean_or("ignore_merges", false);
  Vocabulary vocabulary = read_vocabulary(view.at("vocab"));
  MergeTable merges = read_merges(view.at("merges"), vocabulary, options.continuing_subword_prefix);
  return std::make_unique<Bpe>(std::move(vocabulary), std::move(merges), std::move(options));
}

}  // namespace nibble::tokenizer
