#include "tokenizer/sentencepiece_model.hpp"

#include <cmath>

#include "base/fail.hpp"
#include "base/utf8.hpp"
#include "tokenizer/protobuf_reader.hpp"
#include "tokenizer/vocabulary.hpp"

namespace nibble::tokenizer {
namespace {

SentencepieceModel::Piece parse_piece(std::string_view bytes, const std::string& place) {
  SentencepieceModel::Piece piece;
  ProtobufReader reader(bytes, place);
  while (const auto field = reader.next()) {
    switch (field->number) {
      case 1: piece.text = field->bytes; break;
      case 2: piece.score = field->as_float(); break;
      case 3: piece.type = static_cast<SentencepieceModel::PieceType>(field->value); break;
      default: break;
    }
  }
  if (!is_utf8(piece.text)) fail(ErrorKind::corrupt, "{}: a piece is not UTF-8", place);
  if (!std::isfinite(piece.score)) fail(ErrorKind::corrupt, "{}: the score of piece \"{}\" is not a number", place, piece.text);
  return piece;
}

void parse_trainer(std::string_view bytes, const std::string& place, SentencepieceModel& model) {
  ProtobufReader reader(bytes, place);
  while (const auto field = reader.next()) {
    switch (field->number) {
      case 3: model.type = static_cast<SentencepieceModel::Type>(field->value); break;
      case 35: model.byte_fallback = field->value != 0; break;
      case 40: model.unk_id = static_cast<int32_t>(field->value); break;
      case 41: model.bos_id = static_cast<int32_t>(field->value); break;
      case 42: model.eos_id = static_cast<int32_t>(field->value); break;
      case 44: model.unk_surface = field->bytes; break;
      default: break;
    }
  }
}

void parse_normalizer(std::string_view bytes, const std::string& place, SentencepieceModel& model) {
  ProtobufReader reader(bytes, place);
  while (const auto field = reader.next()) {
    switch (field->number) {
      case 2: model.character_map = field->bytes; break;
      case 3: model.add_dummy_prefix = field->value != 0; break;
      case 4: model.remove_extra_whitespaces = field->value != 0; break;
      case 5: model.escape_whitespaces = field->value != 0; break;
      default: break;
    }
  }
}

}  // namespace

SentencepieceModel parse_sentencepiece(std::string_view bytes, const std::string& place) {
  SentencepieceModel model;
  ProtobufReader reader(bytes, place);
  while (const auto field = reader.next()) {
    switch (field->number) {
      case 1: model.pieces.push_back(parse_piece(field->bytes, place)); break;
      case 2: parse_trainer(field->bytes, place, model); break;
      case 3: parse_normalizer(field->bytes, place, model); break;
      default: break;
    }
    if (model.pieces.size() > Vocabulary::kMaxId) fail(ErrorKind::corrupt, "{}: too many pieces", place);
  }
  if (model.pieces.empty()) fail(ErrorKind::corrupt, "{}: no sentencepiece model: it has no pieces", place);
  return model;
}

}  // namespace nibble::tokenizer
