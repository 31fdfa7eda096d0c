#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/model.hpp"
#include "tokenizer/openvino/sentencepiece_normalizer.hpp"
#include "tokenizer/sentencepiece_model.hpp"

namespace nibble::tokenizer {

/// A sentencepiece model used as sentencepiece itself does. Thread-safe.
class SentencepieceProcessor {
 public:
  /// Throws Error{corrupt} or Error{unsupported}, naming `place`.
  SentencepieceProcessor(std::string_view bytes, const std::string& place);

  void encode(std::string_view text, std::vector<int32_t>& ids) const;
  /// Control pieces are left out unless `with_control`; ids outside the vocabulary always are.
  std::string decode(std::span<const int32_t> ids, bool with_control) const;
  /// The spelling of pieces, one after the other, with bytes for byte pieces.
  std::string spell(std::span<const int32_t> ids) const;

  int64_t bos_id() const { return proto_.bos_id; }
  int64_t eos_id() const { return proto_.eos_id; }
  const SentencepieceModel& model() const { return proto_; }

 private:
  const SentencepieceModel::Piece* piece(int32_t id) const;

  SentencepieceModel proto_;
  std::unique_ptr<const Model> model_;
  std::shared_ptr<const ByteTrie> user_defined_;
  std::unique_ptr<const SentencepieceNormalizer> normalizer_;
};

}  // namespace nibble::tokenizer
