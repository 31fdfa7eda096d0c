#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/utf8.hpp"

namespace nibble::tokenizer {

/// A half-open range of bytes of the text as it was given.
struct Alignment {
  uint32_t begin, end;
  bool operator==(const Alignment&) const = default;
};

/// A stretch of the current text. `origin` is where it began in the original when it was cut out; `token` >= 0 marks an added
/// token, which nothing changes any more.
struct Split {
  size_t begin, end;
  size_t origin;
  int64_t token = -1;
};

/// A cut proposed for one split, relative to it.
struct Cut {
  size_t begin, end;
  int64_t token = -1;
};

class TextRewriter;

/// A text on its way to the model: normalizers rewrite it, pre-tokenizers split it. All splits lie in one string, in order; what
/// is between them has been removed. If `track` is set, every byte knows the original bytes it came from (its alignment), by the
/// rules of the `tokenizers` library: an inserted character shares the alignment of the one before it.
class SplitText {
 public:
  /// `text` is valid UTF-8 of less than 2^31 bytes.
  SplitText(std::string text, bool track);

  const std::string& text() const { return text_; }
  const std::vector<Split>& splits() const { return splits_; }
  std::string_view view(const Split& split) const { return std::string_view(text_).substr(split.begin, split.end - split.begin); }
  bool tracks() const { return track_; }

  /// Lets `rewrite(view, rewriter)` write each split anew that is no added token.
  template <class Rewrite>
  void rewrite(Rewrite&& rewrite);

  /// Lets `cut(view, cuts)` divide each split that is no added token. Empty parts and parts that are not listed are dropped.
  template <class CutSplit>
  void split(CutSplit&& cut_split);

  /// The original bytes that text()[begin, end) came from; needs tracking.
  std::pair<size_t, size_t> original(size_t begin, size_t end) const { return {alignment(begin).begin, alignment(end - 1).end}; }
  /// The alignment of one byte.
  Alignment alignment(size_t position) const;

 private:
  friend class TextRewriter;

  std::string text_;
  std::vector<Alignment> alignments_;  // empty as long as the text is the original
  std::vector<Split> splits_;
  bool track_;
  bool rewritten_ = false;
  size_t limit_;  // of the rewritten text; normalizers that multiply each other's output must not fill the memory
};

/// Writes the next version of a SplitText. Reads the old text of one split from left to right; what is not kept is gone.
class TextRewriter {
 public:
  explicit TextRewriter(const SplitText& old) : old_(old) { text_.reserve(old.text_.size() + old.text_.size() / 8 + 16); }

  void keep(size_t bytes);
  void keep_rest() { keep(end_ - position_); }
  void drop(size_t bytes) {
    position_ += bytes;
    changed_ = changed_ || bytes > 0;
  }
  /// Writes `c` in place of the next character of the old text.
  void replace(char32_t c) { emit(c, 0); }
  /// Writes `c` without reading; it is aligned with what was read last.
  void insert(char32_t c) { emit(c, 1); }
  void insert(std::string_view characters);
  /// Writes `prefix` before anything was read, aligned with the first character.
  void prepend(std::string_view prefix) {
    if (!prefix.empty()) write(prefix, old_.track_ ? old_.alignment(position_) : Alignment{});
  }
  /// One step of a transformation in the notation of the `tokenizers` library: `change` 1 inserts, 0 replaces a character, -n
  /// replaces one and drops n more.
  void emit(char32_t c, int change);

 private:
  friend class SplitText;

  size_t size() const { return text_.size(); }
  void select(const Split& split);
  void finish_split() { changed_ = changed_ || position_ != end_; }
  void write(std::string_view bytes, Alignment alignment);

  const SplitText& old_;
  std::string text_;
  std::vector<Alignment> alignments_;
  size_t begin_ = 0, position_ = 0, end_ = 0, origin_ = 0;
  bool changed_ = false;
};

template <class Rewrite>
void SplitText::rewrite(Rewrite&& rewrite) {
  TextRewriter out(*this);
  std::vector<Split> splits = splits_;
  for (Split& split : splits) {
    const size_t begin = out.size();
    out.select(split);
    if (split.token >= 0) {
      out.keep_rest();
    } else {
      rewrite(view(split), out);
    }
    out.finish_split();
    split.begin = begin;
    split.end = out.size();
  }
  if (!out.changed_) return;
  text_ = std::move(out.text_);
  alignments_ = std::move(out.alignments_);
  splits_ = std::move(splits);
  rewritten_ = true;
}

template <class CutSplit>
void SplitText::split(CutSplit&& cut_split) {
  std::vector<Split> splits;
  splits.reserve(splits_.size());
  std::vector<Cut> cuts;
  for (const Split& whole : splits_) {
    if (whole.token >= 0) {
      splits.push_back(whole);
      continue;
    }
    cuts.clear();
    cut_split(view(whole), cuts);
    for (const Cut& cut : cuts) {
      if (cut.begin >= cut.end) continue;
      const size_t begin = whole.begin + cut.begin;
      splits.push_back({begin, whole.begin + cut.end, track_ ? alignment(begin).begin : begin, cut.token});
    }
  }
  splits_ = std::move(splits);
}

}  // namespace nibble::tokenizer
