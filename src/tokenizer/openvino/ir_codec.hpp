#pragma once

#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "tokenizer/codec.hpp"
#include "tokenizer/openvino/string_program.hpp"

namespace nibble::tokenizer {

/// A tokenizer IR, run operation by operation. Offsets are not known: encodings have none.
class IrCodec : public Codec {
 public:
  /// Takes graphs of any origin. Throws Error{unsupported} where they are no tokenizer and detokenizer.
  IrCodec(Graph tokenizer, const std::string& tokenizer_place, Graph detokenizer, const std::string& detokenizer_place);

  Encoding encode(std::string text, const EncodeOptions& options) const override;
  Encoding encode_pair(std::string first, std::string second, const EncodeOptions& options) const override;
  std::string decode(std::span<const int64_t> ids, bool skip_special_tokens) const override;
  std::string decode(std::span<const int64_t> ids, bool skip_special_tokens, bool clean_up_spaces) const override;
  std::unique_ptr<DecodeStream> stream(bool skip_special_tokens) const override;

  std::optional<std::string_view> token(int64_t id) const override;
  std::optional<int64_t> id(std::string_view token) const override;
  size_t vocab_size() const override { return ids_.size(); }
  bool is_special(int64_t id) const override { return special_.contains(id); }

 private:
  Encoding encode_texts(std::span<const std::string> texts, const EncodeOptions& options) const;
  void find_vocabulary();
  void read_decoder(const Node& node);
  void read_sentencepiece(const Node& node);
  std::vector<int64_t> plain_ids(const StringProgram::Values& values) const;
  std::vector<int64_t> unpadded_ids(const StringProgram::Values& values) const;

  StringProgram tokenizer_, detokenizer_;
  const Node* sentencepiece_ = nullptr;           // of the tokenizer, where it has one
  std::vector<std::string> tokens_;               // valid UTF-8
  std::unordered_map<std::string, int64_t> ids_;  // by the bytes of the vocabulary
  std::set<int64_t> special_;
};

}  // namespace nibble::tokenizer
