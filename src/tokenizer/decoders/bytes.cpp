#include "base/utf8.hpp"
#include "tokenizer/byte_level.hpp"
#include "tokenizer/decoders/makers.hpp"

namespace nibble::tokenizer {
namespace {

/// GPT-2's characters back to bytes, and these to text as one token.
class ByteLevelStage : public DecodeStage {
 public:
  explicit ByteLevelStage(InvalidBytes invalid) : replacement_(invalid == InvalidBytes::replaced ? kReplacementCharacter : "") {}

  void push(Chunk chunk, std::vector<Chunk>& out) override {
    append_token_bytes(bytes_, chunk.text);
    std::string text;
    bytes_.erase(0, append_sanitized(text, bytes_, replacement_));
    emit(std::move(text), false, out);
  }

  void finish(std::vector<Chunk>& out) override { emit(std::string(bytes_.empty() ? "" : replacement_), true, out); }

 private:
  void emit(std::string text, bool ends, std::vector<Chunk>& out) {
    if (text.empty() && !ends) return;
    out.push_back({std::move(text), first_, ends});
    first_ = false;
  }

  std::string_view replacement_;
  std::string bytes_;
  bool first_ = true;
};

/// Runs of "<0xNN>" tokens to the text these bytes are, or as many U+FFFD where they are none. A stream shows whole characters at
/// once, and holds back what is no text until the run ends or a hidden token ends the stretch.
class ByteFallbackStage : public DecodeStage {
 public:
  explicit ByteFallbackStage(DecodeMode mode) : mode_(mode) {}

  void push(Chunk chunk, std::vector<Chunk>& out) override {
    const auto byte = chunk.begins && chunk.ends ? parse_byte_token(chunk.text) : std::nullopt;
    if (byte) return add(static_cast<char>(*byte), out);
    finish(out);
    out.push_back(std::move(chunk));
  }

  void pass_hidden(std::vector<Chunk>& out) override {
    if (mode_ == DecodeMode::whole || (!stretch_bad_ && tail_.empty())) return;
    run_bad_ = true;
    tail_.clear();
    stretch_bad_ = false;
    emit(replacements(), false, out);
  }

  void finish(std::vector<Chunk>& out) override {
    if (bytes_ == 0) return;
    if (run_bad_ || !tail_.empty()) text_ = replacements();
    emit(std::move(text_), true, out);
    *this = ByteFallbackStage(mode_);
  }

 private:
  void add(char byte, std::vector<Chunk>& out) {
    ++bytes_;
    if (stretch_bad_) return;
    tail_.push_back(byte);
    const Utf8Prefix prefix = scan_utf8(tail_);
    stretch_bad_ = prefix.kind == Utf8Kind::invalid;
    run_bad_ = run_bad_ || stretch_bad_;
    if (prefix.kind != Utf8Kind::complete) return;
    text_.append(run_bad_ ? replacements() : tail_);
    tail_.clear();
    if (mode_ == DecodeMode::stream) emit(std::move(text_), false, out);
  }

  /// One for each byte of the run that was not shown.
  std::string replacements() const {
    std::string text;
    for (size_t i = shown_; i < bytes_; ++i) text.append(kReplacementCharacter);
    return text;
  }

  void emit(std::string text, bool ends, std::vector<Chunk>& out) {
    out.push_back({std::move(text), !begun_, ends});
    text_.clear();
    begun_ = true;
    shown_ = bytes_;
  }

  DecodeMode mode_;
  std::string text_, tail_;  // characters not yet handed on; the beginning of another
  size_t bytes_ = 0, shown_ = 0;
  bool run_bad_ = false, stretch_bad_ = false;  // the run, or its part since the last hidden token, cannot be text
  bool begun_ = false;
};

}  // namespace

DecoderPtr make_byte_level_decoder(InvalidBytes invalid) {
  return std::make_unique<SingleStageDecoder>([invalid](DecodeMode) { return std::make_unique<ByteLevelStage>(invalid); });
}

DecoderPtr make_byte_fallback_decoder() {
  return std::make_unique<SingleStageDecoder>([](DecodeMode mode) { return std::make_unique<ByteFallbackStage>(mode); });
}

}  // namespace nibble::tokenizer
