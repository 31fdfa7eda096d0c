#include <algorithm>
#include <optional>

#include "tokenizer/decoders/makers.hpp"
#include "tokenizer/text_replacements.hpp"

namespace nibble::tokenizer {
namespace {

/// Continuations lose their prefix, other tokens get a space before them.
class WordPieceStage : public DecodeStage {
 public:
  WordPieceStage(std::string prefix, bool cleanup) : prefix_(std::move(prefix)), cleanup_(cleanup) {}
  void push(Chunk chunk, std::vector<Chunk>& out) override {
    if (chunk.begins && !first_) {
      if (chunk.text.starts_with(prefix_)) {
        chunk.text.erase(0, prefix_.size());
      } else {
        chunk.text.insert(chunk.text.begin(), ' ');
      }
    }
    first_ = false;
    if (cleanup_) chunk.text = clean_up_word_pieces(std::move(chunk.text));
    out.push_back(std::move(chunk));
  }

 private:
  std::string prefix_;
  bool cleanup_, first_ = true;
};

/// The suffix of a word's end becomes a space, but none at the end of the text.
class BpeStage : public DecodeStage {
 public:
  explicit BpeStage(std::string suffix) : suffix_(std::move(suffix)) {}

  void push(Chunk chunk, std::vector<Chunk>& out) override {
    release(" ", out);
    const size_t suffix = suffix_.empty() ? chunk.text.size() : std::min(chunk.text.find(suffix_), chunk.text.size());
    held_ = chunk.text.substr(suffix);
    chunk.text.resize(suffix);
    chunk.ends = false;
    out.push_back(std::move(chunk));
  }
  void finish(std::vector<Chunk>& out) override { release("", out); }

 private:
  void release(std::string_view space, std::vector<Chunk>& out) {
    if (!held_) return;
    out.push_back({held_->empty() ? std::string() : replace_literal(std::move(*held_), suffix_, space), false, true});
    held_.reset();
  }

  std::string suffix_;
  std::optional<std::string> held_;
};

/// Repeated tokens count once, padding not at all (Graves et al., 2006).
class CtcStage : public DecodeStage {
 public:
  CtcStage(std::string pad, std::string delimiter, bool cleanup)
      : pad_(std::move(pad)), delimiter_(std::move(delimiter)), cleanup_(cleanup) {}
  void push(Chunk chunk, std::vector<Chunk>& out) override {
    if (last_ == chunk.text) return;
    last_ = chunk.text;
    if (!pad_.empty()) chunk.text = replace_literal(std::move(chunk.text), pad_, "");
    if (cleanup_) {
      chunk.text = clean_up_word_pieces(std::move(chunk.text));
      if (!delimiter_.empty()) chunk.text = replace_literal(std::move(chunk.text), delimiter_, " ");
    }
    if (!chunk.text.empty()) out.push_back(std::move(chunk));
  }

 private:
  std::string pad_, delimiter_;
  bool cleanup_;
  std::optional<std::string> last_;
};

}  // namespace

DecoderPtr make_word_piece_decoder(const JsonView& view) {
  return std::make_unique<SingleStageDecoder>([prefix = view.string_or("prefix", "##"), cleanup = view.boolean_or("cleanup", true)](
                                                  DecodeMode) { return std::make_unique<WordPieceStage>(prefix, cleanup); });
}

DecoderPtr make_bpe_decoder(const JsonView& view) {
  return std::make_unique<SingleStageDecoder>(
      [suffix = view.string_or("suffix", "</w>")](DecodeMode) { return std::make_unique<BpeStage>(suffix); });
}

DecoderPtr make_ctc_decoder(const JsonView& view) {
  return std::make_unique<SingleStageDecoder>(
      [pad = view.string_or("pad_token", "<pad>"), delimiter = view.string_or("word_delimiter_token", "|"),
       cleanup = view.boolean_or("cleanup", true)](DecodeMode) { return std::make_unique<CtcStage>(pad, delimiter, cleanup); });
}

}  // namespace nibble::tokenizer
