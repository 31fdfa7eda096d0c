#pragma once

#include "tokenizer/codec.hpp"
#include "tokenizer/decode_finish.hpp"
#include "tokenizer/pipeline.hpp"

namespace nibble::tokenizer {

/// The parts that a tokenizer.json or a sentencepiece model names.
class PipelineCodec : public Codec {
 public:
  PipelineCodec(Pipeline pipeline, const TokenizerConfig& config);

  Encoding encode(std::string text, const EncodeOptions& options) const override;
  Encoding encode_pair(std::string first, std::string second, const EncodeOptions& options) const override;
  std::string decode(std::span<const int64_t> ids, bool skip_special_tokens) const override;
  std::string decode(std::span<const int64_t> ids, bool skip_special_tokens, bool clean_up_spaces) const override;
  std::unique_ptr<DecodeStream> stream(bool skip_special_tokens) const override;

  std::optional<std::string_view> token(int64_t id) const override { return pipeline_.token(id); }
  std::optional<int64_t> id(std::string_view token) const override { return pipeline_.id(token); }
  size_t vocab_size() const override { return vocab_size_; }
  bool is_special(int64_t id) const override;

  const DecodeFinish& finish() const { return finish_; }
  const Decoder& decoder() const { return *pipeline_.decoder; }
  /// The spelling that goes into the decoders; nullopt for ids that show nothing.
  std::optional<std::string_view> shown_token(int64_t id, bool skip_special_tokens) const;

 private:
  Encoding join(std::vector<TokenSequence> parts, const EncodeOptions& options) const;
  void truncate(std::vector<TokenSequence>& parts, const Truncation& truncation, bool add_special_tokens) const;
  std::string decode_with(const DecodeFinish& finish, std::span<const int64_t> ids, bool skip_special_tokens) const;

  Pipeline pipeline_;
  DecodeFinish finish_;
  size_t vocab_size_;
};

}  // namespace nibble::tokenizer
