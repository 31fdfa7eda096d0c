#include "tokenizer/openvino/sentencepiece_processor.hpp"

#include <algorithm>

#include "base/fail.hpp"
#include "base/utf8.hpp"
#include "tokenizer/byte_level.hpp"
#include "tokenizer/metaspace.hpp"
#include "tokenizer/pipeline.hpp"

namespace nibble::tokenizer {
namespace {

using PieceType = SentencepieceModel::PieceType;

std::shared_ptr<const ByteTrie> user_defined(const SentencepieceModel& proto) {
  std::vector<std::pair<std::string_view, int32_t>> entries;
  for (size_t id = 0; id < proto.pieces.size(); ++id)
    if (proto.pieces[id].type == PieceType::user_defined && !proto.pieces[id].text.empty())
      entries.emplace_back(proto.pieces[id].text, static_cast<int32_t>(id));
  if (entries.empty()) return nullptr;
  return std::make_shared<ByteTrie>(std::move(entries));
}

/// sentencepiece's unigram models do not find control pieces in a text.
SentencepieceModel without_control(SentencepieceModel proto) {
  if (proto.type != SentencepieceModel::Type::unigram) return proto;
  for (SentencepieceModel::Piece& piece : proto.pieces)
    if (piece.type == PieceType::control || piece.type == PieceType::unknown) piece.text.clear();
  return proto;
}

std::string replace_metaspace(std::string_view piece) {
  std::string text;
  for (size_t i = 0; i < piece.size();) {
    const size_t next = std::min(piece.find(kMetaspace, i), piece.size());
    text.append(piece.substr(i, next - i));
    if (next < piece.size()) text.push_back(' ');
    i = next + kMetaspace.size();
  }
  return text;
}

}  // namespace

SentencepieceProcessor::SentencepieceProcessor(std::string_view bytes, const std::string& place)
    : proto_(parse_sentencepiece(bytes, place)),
      model_(make_sentencepiece_model(without_control(proto_), place)),
      user_defined_(user_defined(proto_)) {
  std::unique_ptr<const CharacterRules> rules;
  if (!proto_.character_map.empty()) rules = make_map_rules(proto_.character_map, place);
  const SentencepieceNormalizer::Options options{proto_.add_dummy_prefix, proto_.remove_extra_whitespaces, proto_.escape_whitespaces};
  normalizer_ = std::make_unique<SentencepieceNormalizer>(std::move(rules), options, user_defined_);
}

const SentencepieceModel::Piece* SentencepieceProcessor::piece(int32_t id) const {
  return id >= 0 && static_cast<size_t>(id) < proto_.pieces.size() ? &proto_.pieces[static_cast<size_t>(id)] : nullptr;
}

/// User-defined pieces are found first; the model sees what lies between them.
void SentencepieceProcessor::encode(std::string_view text, std::vector<int32_t>& ids) const {
  const std::string normalized = normalizer_->normalize(text);
  std::vector<ModelToken> tokens;
  const auto add = [&](size_t begin, size_t end) {
    tokens.clear();
    if (begin < end) model_->tokenize(std::string_view(normalized).substr(begin, end - begin), tokens);
    for (const ModelToken& token : tokens) ids.push_back(static_cast<int32_t>(token.id));
  };
  size_t done = 0;
  for (size_t i = 0; user_defined_ && i < normalized.size();) {
    size_t size = 0;
    int32_t id = 0;
    user_defined_->for_each_prefix(std::string_view(normalized).substr(i), [&](size_t length, int32_t value) {
      size = length;
      id = value;
    });
    if (size > 0) {
      add(done, i);
      ids.push_back(id);
      done = i + size;
    }
    i += std::max<size_t>(size, 1);
  }
  add(done, normalized.size());
}

std::string SentencepieceProcessor::decode(std::span<const int32_t> ids, bool with_control) const {
  std::string text, bytes;
  bool at_beginning = true;
  const bool strips = proto_.add_dummy_prefix || proto_.remove_extra_whitespaces;
  const auto flush = [&] {
    for (std::string_view rest = bytes; !rest.empty();) {
      const Utf8Prefix prefix = scan_utf8(rest);
      const bool whole = prefix.kind == Utf8Kind::complete;
      text.append(whole ? rest.substr(0, prefix.size) : kReplacementCharacter);
      rest.remove_prefix(whole ? prefix.size : 1);
    }
    bytes.clear();
  };
  for (int32_t id : ids) {
    const SentencepieceModel::Piece* found = piece(id);
    if (found == nullptr) continue;
    if (found->type == PieceType::byte) {
      if (const auto byte = parse_byte_token(found->text)) bytes.push_back(static_cast<char>(*byte));
      continue;
    }
    flush();
    if (found->type == PieceType::control && !with_control) continue;
    if (found->type == PieceType::unknown) {
      text.append(proto_.unk_surface);
      continue;
    }
    std::string_view spelled = found->text;
    at_beginning = at_beginning && text.empty();
    if (at_beginning && strips && spelled.starts_with(kMetaspace)) {
      spelled.remove_prefix(kMetaspace.size());
      at_beginning = proto_.remove_extra_whitespaces;
    }
    text.append(replace_metaspace(spelled));
  }
  flush();
  return text;
}

std::string SentencepieceProcessor::spell(std::span<const int32_t> ids) const {
  std::string text;
  for (int32_t id : ids) {
    const SentencepieceModel::Piece* found = piece(id);
    if (found == nullptr) continue;
    const auto byte = parse_byte_token(found->text);
    byte ? text.push_back(static_cast<char>(*byte)) : void(text.append(found->text));
  }
  return text;
}

}  // namespace nibble::tokenizer
