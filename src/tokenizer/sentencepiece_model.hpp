#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nibble::tokenizer {

/// What Nibble uses of sentencepiece's ModelProto (sentencepiece_model.proto). Strings are valid UTF-8.
struct SentencepieceModel {
  enum class Type : uint64_t { unigram = 1, bpe = 2, word = 3, character = 4 };
  enum class PieceType : uint64_t { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };
  struct Piece {
    std::string text;
    float score = 0;
    PieceType type = PieceType::normal;
  };

  std::vector<Piece> pieces;
  Type type = Type::unigram;
  bool byte_fallback = false;
  std::string unk_surface = " \xE2\x81\x87 ";  ///< what sentencepiece shows for the unknown piece
  int64_t unk_id = 0, bos_id = 1, eos_id = 2;  ///< negative: none
  std::string character_map;
  bool add_dummy_prefix = true;
  bool remove_extra_whitespaces = true;
  bool escape_whitespaces = true;
};

/// Throws Error{corrupt} naming `place`.
SentencepieceModel parse_sentencepiece(std::string_view bytes, const std::string& place);

}  // namespace nibble::tokenizer
