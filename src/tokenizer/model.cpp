#include "tokenizer/model.hpp"

#include <map>

#include "base/fail.hpp"
#include "tokenizer/models/makers.hpp"

namespace nibble::tokenizer {
namespace {

/// Old files do not name the type; their members tell.
std::string guess_type(const JsonView& view) {
  if (view.has("merges")) return "BPE";
  if (view.at("vocab").raw().is_array()) return "Unigram";
  return view.has("max_input_chars_per_word") ? "WordPiece" : "WordLevel";
}

}  // namespace

Vocabulary make_vocabulary(const JsonView& model, const ModelLists& lists) {
  const JsonView vocab = model.at("vocab");
  if (!vocab.raw().is_object()) vocab.reject("must be an object of tokens and ids");
  Vocabulary vocabulary;
  vocabulary.reserve(lists.tokens.size());
  for (const auto& [token, id] : lists.tokens) vocabulary.insert(token, id);
  return vocabulary;
}

void fail_unknown(std::string_view piece) {
  fail(ErrorKind::invalid_argument, "\"{}\" is not in the vocabulary, which has no unknown token to stand for it", piece.substr(0, 200));
}

std::unique_ptr<const Model> make_model(const JsonView& view, const ModelLists& lists) {
  static const std::map<std::string_view, std::unique_ptr<const Model> (*)(const JsonView&, const ModelLists&)> makers{
      {"BPE", make_bpe}, {"Unigram", make_unigram}, {"WordLevel", make_word_level}, {"WordPiece", make_word_piece}};
  const std::string type = view.has("type") ? view.at("type").string() : guess_type(view);
  const auto maker = makers.find(type);
  if (maker == makers.end()) view.refuse("is a model of the unknown type \"" + type + "\"");
  return maker->second(view, lists);
}

}  // namespace nibble::tokenizer
