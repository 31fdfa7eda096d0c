#include "tokenizer/decode_finish.hpp"

#include <algorithm>

#include "base/utf8.hpp"
#include "tokenizer/text_replacements.hpp"
#include "tokenizer/unicode.hpp"

namespace nibble::tokenizer {
namespace {

std::string_view strip(std::string_view text) {
  while (!text.empty() && is_whitespace(code_point_at(text, 0).value)) text.remove_prefix(code_point_at(text, 0).size);
  while (!text.empty() && is_whitespace(code_point_before(text, text.size()).value))
    text.remove_suffix(code_point_before(text, text.size()).size);
  return text;
}

size_t skip_digits(std::string_view text, size_t position) { return std::min(text.find_first_not_of("0123456789", position), text.size()); }

/// The size of a <|digits.digits|> that `text` begins with, or 0.
size_t timestamp_size(std::string_view text) {
  if (!text.starts_with("<|")) return 0;
  const size_t point = skip_digits(text, 2);
  if (point == 2 || point == text.size() || text[point] != '.') return 0;
  const size_t end = skip_digits(text, point + 1);
  return end > point + 1 && text.substr(end).starts_with("|>") ? end + 2 : 0;
}

/// Whisper's timestamps are ordinary tokens that its tokenizer class takes out of the text.
std::string remove_timestamps(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size();) {
    const size_t mark = std::min(text.find("<|", i), text.size());
    result.append(text.substr(i, mark - i));
    const size_t size = timestamp_size(text.substr(mark));
    if (size == 0 && mark < text.size()) result.push_back('<');
    i = mark + std::max<size_t>(size, 1);
  }
  return result;
}

}  // namespace

DecodeFinish::DecodeFinish(const TokenizerConfig& config)
    : clean_up_(config.clean_up_tokenization_spaces),
      clip_(config.tokenizer_class.starts_with("CLIPTokenizer")),
      whisper_(config.tokenizer_class.starts_with("WhisperTokenizer")) {}

DecodeFinish DecodeFinish::with_clean_up(bool clean_up) const {
  DecodeFinish other = *this;
  other.clean_up_ = clean_up;
  return other;
}

std::string DecodeFinish::finish(std::string text) const {
  text = finish_part(std::move(text));
  return clip_ ? std::string(strip(text)) : text;
}

std::string DecodeFinish::finish_part(std::string text) const {
  if (clip_) text = replace_literal(std::move(text), "</w>", " ");
  if (clean_up_) text = clean_up_spaces(std::move(text));
  return whisper_ ? remove_timestamps(text) : text;
}

}  // namespace nibble::tokenizer
