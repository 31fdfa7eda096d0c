#include "tokenizer/text_replacements.hpp"

namespace nibble::tokenizer {
namespace {

std::string clean_up(std::string text, bool contract_do_not) {
  if (text.find(' ') == std::string::npos) return text;
  for (std::string_view sign : {" .", " ?", " !", " ,"}) text = replace_literal(std::move(text), sign, sign.substr(1));
  text = replace_literal(std::move(text), " ' ", "'");
  text = replace_literal(std::move(text), " n't", "n't");
  text = replace_literal(std::move(text), " 'm", "'m");
  if (contract_do_not) text = replace_literal(std::move(text), " do not", " don't");
  for (std::string_view ending : {" 's", " 've", " 're"}) text = replace_literal(std::move(text), ending, ending.substr(1));
  return text;
}

}  // namespace

std::string replace_literal(std::string text, std::string_view from, std::string_view to) {
  size_t match = text.find(from);
  if (match == std::string::npos) return text;
  std::string result;
  size_t done = 0;
  for (; match != std::string::npos; match = text.find(from, done)) {
    result.append(text, done, match - done).append(to);
    done = match + from.size();
  }
  return result.append(text, done);
}

std::string clean_up_spaces(std::string text) { return clean_up(std::move(text), false); }

std::string clean_up_word_pieces(std::string text) { return clean_up(std::move(text), true); }

}  // namespace nibble::tokenizer
