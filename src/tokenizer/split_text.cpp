#include "tokenizer/split_text.hpp"

#include <algorithm>

#include "base/fail.hpp"

namespace nibble::tokenizer {
namespace {

// NFKD makes 18 characters of U+FDFA, and nothing real grows more.
constexpr size_t kMaxGrowth = 32, kGrowthAllowance = 64 << 10;

}  // namespace

SplitText::SplitText(std::string text, bool track) : text_(std::move(text)), track_(track) {
  if (text_.size() >= size_t{1} << 31) fail(ErrorKind::invalid_argument, "a text of {} bytes is too long to tokenize", text_.size());
  limit_ = kMaxGrowth * text_.size() + kGrowthAllowance;
  splits_.push_back({0, text_.size(), 0});
}

Alignment SplitText::alignment(size_t position) const {
  if (rewritten_) return alignments_[position];
  while (position > 0 && is_continuation_byte(text_[position])) --position;
  return {static_cast<uint32_t>(position), static_cast<uint32_t>(position + code_point_at(text_, position).size)};
}

void TextRewriter::select(const Split& split) {
  // Text between the splits has been removed already; nothing refers to it, so leaving it out is no change.
  begin_ = position_ = split.begin;
  end_ = split.end;
  origin_ = split.origin;
}

void TextRewriter::keep(size_t bytes) {
  text_.append(old_.text_, position_, bytes);
  if (old_.track_) {
    for (size_t i = position_; i < position_ + bytes; ++i) alignments_.push_back(old_.alignment(i));
  }
  position_ += bytes;
}

void TextRewriter::write(std::string_view bytes, Alignment alignment) {
  if (text_.size() > old_.limit_) fail(ErrorKind::exhausted, "normalizing a text makes it more than {} times as long", kMaxGrowth);
  text_.append(bytes);
  if (old_.track_) alignments_.insert(alignments_.end(), bytes.size(), alignment);
  changed_ = true;
}

void TextRewriter::insert(std::string_view characters) {
  for (size_t i = 0; i < characters.size();) {
    const CodePoint c = code_point_at(characters, i);
    insert(c.value);
    i += c.size;
  }
}

void TextRewriter::emit(char32_t c, int change) {
  Alignment alignment{static_cast<uint32_t>(origin_), static_cast<uint32_t>(origin_)};
  if (old_.track_ && change > 0 && position_ > begin_) {
    alignment = old_.alignment(position_ - 1);
  } else if (old_.track_ && change <= 0 && begin_ < end_) {
    alignment = old_.alignment(std::min(position_, end_ - 1));
  }
  for (int i = change; i <= 0 && position_ < end_; ++i) position_ += code_point_at(old_.text_, position_).size;
  std::string bytes;
  append_utf8(bytes, c);
  write(bytes, alignment);
}

}  // namespace nibble::tokenizer
