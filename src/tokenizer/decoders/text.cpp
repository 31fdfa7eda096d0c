#include <algorithm>

#include "base/utf8.hpp"
#include "tokenizer/decoders/makers.hpp"
#include "tokenizer/pattern.hpp"

namespace nibble::tokenizer {
namespace {

/// Joins all tokens to one.
class FuseStage : public DecodeStage {
 public:
  void push(Chunk chunk, std::vector<Chunk>& out) override {
    out.push_back({std::move(chunk.text), first_, false});
    first_ = false;
  }
  void finish(std::vector<Chunk>& out) override { out.push_back({"", first_, true}); }

 private:
  bool first_ = true;
};

/// Removes up to `start` characters `content` from the beginning of each token and up to `stop` from its end.
class StripStage : public DecodeStage {
 public:
  StripStage(char32_t content, size_t start, size_t stop) : content_(to_utf8(content)), start_(start), stop_(stop) {}

  void push(Chunk chunk, std::vector<Chunk>& out) override {
    if (chunk.begins) {
      to_strip_ = start_;
      held_ = 0;
    }
    std::string_view text = chunk.text;
    while (to_strip_ > 0 && text.starts_with(content_)) {
      text.remove_prefix(content_.size());
      --to_strip_;
    }
    if (!text.empty()) to_strip_ = 0;
    out.push_back({hold_back(text), chunk.begins, chunk.ends});
  }

 private:
  /// What may be the token's end waits until more text or its end comes.
  std::string hold_back(std::string_view text) {
    size_t trailing = 0;
    while (trailing < stop_ && text.ends_with(content_)) {
      text.remove_suffix(content_.size());
      ++trailing;
    }
    std::string result;
    const size_t release = text.empty() ? held_ + trailing - std::min(held_ + trailing, stop_) : held_;
    for (size_t i = 0; i < release; ++i) result.append(content_);
    held_ = held_ + trailing - release;
    return result.append(text);
  }

  std::string content_;
  size_t start_, stop_;
  size_t to_strip_ = 0, held_ = 0;
};

/// Replaces within each token. A token in several chunks is held until what is left cannot be part of a match.
class ReplaceStage : public DecodeStage {
 public:
  ReplaceStage(const Pattern& pattern, std::string_view literal, std::string_view content)
      : pattern_(pattern), literal_(literal), content_(content) {}

  void push(Chunk chunk, std::vector<Chunk>& out) override {
    begins_ = begins_ || chunk.begins;
    held_.append(chunk.text);
    const size_t keep = chunk.ends ? 0 : literal_.empty() ? held_.size() : unfinished();
    std::string text = replace_all(std::string_view(held_).substr(0, held_.size() - keep), pattern_, content_);
    held_.erase(0, held_.size() - keep);
    if (text.empty() && !chunk.ends) return;
    out.push_back({std::move(text), begins_, chunk.ends});
    begins_ = false;
  }

 private:
  /// Bytes at the end that begin the literal without completing it and are no part of a match before.
  size_t unfinished() const {
    size_t scanned = 0;
    for (size_t i = held_.find(literal_); i != std::string::npos; i = held_.find(literal_, scanned)) scanned = i + literal_.size();
    const std::string_view rest = std::string_view(held_).substr(scanned);
    size_t size = std::min(rest.size(), literal_.size() - 1);
    while (size > 0 && !literal_.starts_with(rest.substr(rest.size() - size))) --size;
    return size;
  }

  const Pattern& pattern_;
  std::string_view literal_, content_;
  std::string held_;
  bool begins_ = false;
};

class ReplaceDecoder : public Decoder {
 public:
  ReplaceDecoder(std::unique_ptr<const Pattern> pattern, std::string literal, std::string content)
      : pattern_(std::move(pattern)), literal_(std::move(literal)), content_(std::move(content)) {}
  void add_stages(DecodeMode, DecodeStages& stages) const override {
    stages.push_back(std::make_unique<ReplaceStage>(*pattern_, literal_, content_));
  }

 private:
  std::unique_ptr<const Pattern> pattern_;
  std::string literal_, content_;
};

/// The visible space back to a space; gone from the first token where it was put there.
class MetaspaceStage : public DecodeStage {
 public:
  explicit MetaspaceStage(const Metaspace& options)
      : replacement_(to_utf8(options.replacement)), pattern_(replacement_), prepended_(options.prepend != Metaspace::Prepend::never) {}
  void push(Chunk chunk, std::vector<Chunk>& out) override {
    chunk.text = replace_all(chunk.text, pattern_, first_ && prepended_ ? "" : " ");
    if (chunk.ends) first_ = false;
    out.push_back(std::move(chunk));
  }

 private:
  std::string replacement_;
  LiteralPattern pattern_;
  bool prepended_, first_ = true;
};

}  // namespace

DecoderPtr make_fuse_decoder() {
  return std::make_unique<SingleStageDecoder>([](DecodeMode) { return std::make_unique<FuseStage>(); });
}

DecoderPtr make_strip_decoder(char32_t content, size_t start, size_t stop) {
  return std::make_unique<SingleStageDecoder>([=](DecodeMode) { return std::make_unique<StripStage>(content, start, stop); });
}

DecoderPtr make_replace_decoder(const JsonView& view) {
  const JsonView pattern = view.at("pattern");
  return std::make_unique<ReplaceDecoder>(make_pattern(pattern), literal_of_pattern(pattern).value_or(""), view.at("content").string());
}

DecoderPtr make_replace_decoder(std::string literal, std::string content) {
  return std::make_unique<ReplaceDecoder>(std::make_unique<LiteralPattern>(literal), literal, std::move(content));
}

DecoderPtr make_metaspace_decoder(const Metaspace& options) {
  return std::make_unique<SingleStageDecoder>([=](DecodeMode) { return std::make_unique<MetaspaceStage>(options); });
}

}  // namespace nibble::tokenizer
