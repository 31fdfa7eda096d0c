#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tokenizer/decoder.hpp"
#include "tokenizer/metaspace.hpp"

namespace nibble::tokenizer {

using DecoderPtr = std::unique_ptr<const Decoder>;

/// A decoder of one stage, made by a function of the mode.
class SingleStageDecoder : public Decoder {
 public:
  using Make = std::function<std::unique_ptr<DecodeStage>(DecodeMode)>;
  explicit SingleStageDecoder(Make make) : make_(std::move(make)) {}
  void add_stages(DecodeMode mode, DecodeStages& stages) const override { stages.push_back(make_(mode)); }

 private:
  Make make_;
};

/// The decoders, as make_decoder and the reader of tokenizer.model build them.
enum class InvalidBytes { replaced, left_out };  ///< by U+FFFD
DecoderPtr make_byte_level_decoder(InvalidBytes invalid = InvalidBytes::replaced);
DecoderPtr make_byte_fallback_decoder();
DecoderPtr make_fuse_decoder();
DecoderPtr make_strip_decoder(char32_t content, size_t start, size_t stop);
DecoderPtr make_replace_decoder(const JsonView& view);
DecoderPtr make_replace_decoder(std::string literal, std::string content);
DecoderPtr make_metaspace_decoder(const Metaspace& options);
DecoderPtr make_word_piece_decoder(const JsonView& view);
DecoderPtr make_bpe_decoder(const JsonView& view);
DecoderPtr make_ctc_decoder(const JsonView& view);
DecoderPtr make_decoder_sequence(std::vector<DecoderPtr> steps);

}  // namespace nibble::tokenizer
