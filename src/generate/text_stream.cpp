#include "generate/text_stream.hpp"

#include <algorithm>

namespace nibble {

TextStream::TextStream(const Tokenizer& tokenizer, std::vector<std::string> stop_strings, bool skip_special_tokens)
    : detokenizer_(tokenizer, skip_special_tokens), stop_strings_(std::move(stop_strings)) {
  std::erase_if(stop_strings_, [](const std::string& s) { return s.empty(); });
}

std::string TextStream::continue_from(std::span<const int64_t> prompt) {
  std::string text;
  for (int64_t id : prompt) text += detokenizer_.put(id);
  return text;
}

bool TextStream::put(int64_t id) {
  size_t longest = 0, before = text_.size();
  for (const auto& stop : stop_strings_) longest = std::max(longest, stop.size());
  text_ += detokenizer_.put(id);
  piece_ends_.push_back(text_.size());
  find_stop(before > longest ? before - longest : 0);
  return stop_at_.has_value();
}

void TextStream::find_stop(size_t search_from) {
  for (const auto& stop : stop_strings_) {
    size_t at = text_.find(stop, search_from);
    if (at != std::string::npos) stop_at_ = std::min(at, stop_at_.value_or(at));
  }
  if (!stop_at_) return;
  // Tokens without text right before the stop string are not kept: they may be the first bytes of its first character.
  auto beyond = std::upper_bound(piece_ends_.begin(), piece_ends_.end(), *stop_at_);
  size_t kept_text = beyond == piece_ends_.begin() ? 0 : beyond[-1];
  auto last_kept = std::lower_bound(piece_ends_.begin(), beyond, kept_text);
  tokens_before_stop_ = kept_text == 0 ? 0 : static_cast<size_t>(last_kept - piece_ends_.begin()) + 1;
}

/// End of the last piece that no stop string can still claim.
size_t TextStream::certain_end() const {
  size_t held = 0;
  for (const auto& stop : stop_strings_)
    for (size_t length = std::min(stop.size() - 1, text_.size()); length > held; --length)
      if (text_.compare(text_.size() - length, length, stop, 0, length) == 0) held = length;
  size_t end = text_.size() - held, certain = 0;
  for (auto piece = piece_ends_.rbegin(); piece != piece_ends_.rend(); ++piece)
    if (*piece <= end) {
      certain = *piece;
      break;
    }
  return certain;
}

std::string TextStream::take() {
  size_t end = std::max(taken_, certain_end());
  std::string fresh = text_.substr(taken_, end - taken_);
  taken_ = end;
  return fresh;
}

std::string TextStream::finish(bool cut) {
  if (!cut) text_ += detokenizer_.flush();
  size_t end = text_.size();
  if (cut) end = tokens_before_stop_ == 0 ? 0 : piece_ends_[tokens_before_stop_ - 1];
  end = std::max(end, taken_);
  std::string rest = text_.substr(taken_, end - taken_);
  taken_ = end;
  return rest;
}

}  // namespace nibble
