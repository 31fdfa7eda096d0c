#include <algorithm>
#include <limits>
#include <map>
#include <optional>

#include "tokenizer/post_processors/makers.hpp"

namespace nibble::tokenizer {
namespace {

/// A place in a template: a text (0 or 1) or special tokens.
struct TemplatePiece {
  std::optional<size_t> text;
  std::vector<int64_t> ids;
  uint32_t type_id = 0;
};

using Template = std::vector<TemplatePiece>;

class TemplateProcessor : public PostProcessor {
 public:
  TemplateProcessor(Template single, Template pair) : single_(std::move(single)), pair_(std::move(pair)) {}

  std::vector<TokenSequence> process(std::vector<TokenSequence> parts, bool add_special_tokens) const override {
    const bool with_offsets =
        std::all_of(parts.begin(), parts.end(), [](const TokenSequence& part) { return part.offsets.size() == part.ids.size(); });
    std::vector<TokenSequence> result;
    for (const TemplatePiece& piece : parts.size() == 1 ? single_ : pair_) {
      if (piece.text && *piece.text < parts.size()) {
        result.push_back(parts[*piece.text]);
        std::fill(result.back().type_ids.begin(), result.back().type_ids.end(), piece.type_id);
      } else if (!piece.text && add_special_tokens) {
        result.push_back(special_tokens(piece.ids, piece.type_id, with_offsets));
      }
    }
    return result;
  }

 private:
  Template single_, pair_;
};

using SpecialTokens = std::map<std::string, std::vector<int64_t>>;

SpecialTokens read_special_tokens(const JsonView& view) {
  SpecialTokens tokens;
  for (const auto& [name, token] : view.members()) {
    for (const JsonView& id : token.at("ids").elements()) tokens[name].push_back(read_token_id(id));
  }
  return tokens;
}

TemplatePiece read_piece(const JsonView& view, const SpecialTokens& special) {
  const bool is_text = view.has("Sequence");
  const JsonView body = view.at(is_text ? "Sequence" : "SpecialToken");
  TemplatePiece piece;
  piece.type_id = static_cast<uint32_t>(body.at("type_id").integer(std::numeric_limits<uint32_t>::max()));
  const JsonView id = body.at("id");
  if (is_text) {
    if (id.string() != "A" && id.string() != "B") id.reject("must be \"A\" or \"B\"");
    piece.text = id.string() == "A" ? 0 : 1;
    return piece;
  }
  const auto token = special.find(id.string());
  if (token == special.end()) id.reject("names a token that special_tokens lacks");
  piece.ids = token->second;
  return piece;
}

Template read_template(const JsonView& view, const SpecialTokens& special) {
  constexpr size_t kMaxPieces = 256;  // each may repeat the whole text
  if (view.raw().size() > kMaxPieces) view.reject("has too many pieces");
  Template pieces;
  for (const JsonView& piece : view.elements()) pieces.push_back(read_piece(piece, special));
  return pieces;
}

}  // namespace

PostProcessorPtr make_template_processor(const JsonView& view) {
  const SpecialTokens special = read_special_tokens(view.at("special_tokens"));
  Template single = read_template(view.at("single"), special);
  const bool two_texts = std::any_of(single.begin(), single.end(), [](const TemplatePiece& piece) { return piece.text == size_t{1}; });
  if (two_texts) view.at("single").reject("uses a second text");
  return std::make_unique<TemplateProcessor>(std::move(single), read_template(view.at("pair"), special));
}

}  // namespace nibble::tokenizer
