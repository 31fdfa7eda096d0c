#include "base/fail.hpp"
#include "tokenizer/models/bpe.hpp"
#include "tokenizer/models/makers.hpp"

namespace nibble::tokenizer {
namespace {

MergeTable make_merges(const JsonView& model, const ModelLists& lists, const Vocabulary& vocabulary, std::string_view prefix) {
  const JsonView merges = model.at("merges");
  MergeTable table;
  table.reserve(lists.merges.size());
  std::string joined;
  uint32_t rank = 0;
  for (const auto& [left, right] : lists.merges) {
    joined.assign(left).append(right.substr(std::min(prefix.size(), right.size())));
    const auto left_id = vocabulary.find(left), right_id = vocabulary.find(right), id = vocabulary.find(joined);
    if (!left_id || !right_id || !id) {
      const std::string_view missing = !left_id ? left : !right_id ? right : std::string_view(joined);
      merges.reject(fmt::format("merges \"{}\" and \"{}\" (entry {}), but \"{}\" is not in the vocabulary", left, right, rank, missing));
    }
    table.insert(*left_id, *right_id, {rank++, *id});
  }
  return table;
}

}  // namespace

std::unique_ptr<const Model> make_bpe(const JsonView& view, const ModelLists& lists) {
  BpeOptions options;
  options.unk_token = view.optional_string("unk_token");
  options.continuing_subword_prefix = view.string_or("continuing_subword_prefix", "");
  options.end_of_word_suffix = view.string_or("end_of_word_suffix", "");
  options.fuse_unk = view.boolean_or("fuse_unk", false);
  options.byte_fallback = view.boolean_or("byte_fallback", false);
  options.ignore_merges = view.boolean_or("ignore_merges", false);
  Vocabulary vocabulary = make_vocabulary(view, lists);
  MergeTable merges = make_merges(view, lists, vocabulary, options.continuing_subword_prefix);
  return std::make_unique<Bpe>(std::move(vocabulary), std::move(merges), std::move(options));
}

}  // namespace nibble::tokenizer
