#include "tokenizer/openvino/tokenizer_document.hpp"

#include <algorithm>

#include "base/base64.hpp"
#include "base/fail.hpp"
#include "base/mapped_file.hpp"
#include "base/utf8.hpp"
#include "checkpoint/gguf/gguf_model.hpp"
#include "checkpoint/gguf/gguf_tokenizer.hpp"
#include "tokenizer/metaspace.hpp"
#include "tokenizer/pipeline.hpp"
#include "tokenizer/sentencepiece_model.hpp"
#include "tokenizer/tokenizer_source.hpp"
#include "tokenizer/vocabularies/plain_files.hpp"

namespace nibble::tokenizer {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using PieceType = SentencepieceModel::PieceType;

constexpr size_t kFileLimit = 512 << 20, kTemplateLimit = 16 << 20;

/// Special tokens that only the tokenizer's class names.
void fill_in(const VocabularyDocument& vocabulary, TokenizerConfig& config) {
  const auto fill = [](std::optional<std::string>& token, const std::optional<std::string>& fallback) {
    if (!token) token = fallback;
  };
  fill(config.bos_token, vocabulary.bos_token);
  fill(config.eos_token, vocabulary.eos_token);
  fill(config.pad_token, vocabulary.pad_token);
  fill(config.unk_token, vocabulary.unk_token);
}

TokenizerDocument read_file_document(const fs::path& directory, const fs::path& file) {
  TokenizerDocument document{{}, read_tokenizer_config(directory), file.string()};
  const fs::path chat_template = directory / "chat_template.jinja";
  std::error_code ignored;
  if (fs::is_regular_file(chat_template, ignored)) document.config.chat_templates["default"] = read_file(chat_template, kTemplateLimit);
  if (auto vocabulary = read_vocabulary_document(file)) {
    fill_in(*vocabulary, document.config);
    document.json = std::move(vocabulary->json);
  } else if (file.extension() == ".json") {
    document.json = parse_json_file(file, kFileLimit);
  } else {
    document.json = sentencepiece_document(file, document.config);
  }
  return document;
}

TokenizerDocument read_gguf_document(const fs::path& path) {
  const GgufFile file = open_gguf_file(path);
  if (!has_gguf_tokenizer(file.metadata)) fail(ErrorKind::not_found, "{}: the file holds no tokenizer", path.string());
  TokenizerDocument document{gguf_tokenizer_json(file.metadata), read_tokenizer_config(gguf_tokenizer_config(file.metadata), path.string()),
                             path.string()};
  for (const auto& [name, text] : gguf_chat_templates(file.metadata)) document.config.chat_templates.emplace(name, text);
  return document;
}

bool is_mergeable(const SentencepieceModel& proto, const std::map<std::string_view, size_t>& ids, std::string_view text) {
  const auto found = ids.find(text);
  if (found == ids.end()) return false;
  const PieceType type = proto.pieces[found->second].type;
  return type == PieceType::normal || type == PieceType::user_defined;
}

/// Every cut of every piece into two pieces, the best pieces first.
json merges_of(const SentencepieceModel& proto, const std::map<std::string_view, size_t>& ids) {
  std::vector<size_t> order;
  for (size_t id = 0; id < proto.pieces.size(); ++id)
    if (ids.at(proto.pieces[id].text) == id && is_mergeable(proto, ids, proto.pieces[id].text)) order.push_back(id);
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return proto.pieces[a].score > proto.pieces[b].score; });
  json merges = json::array();
  for (size_t id : order) {
    const std::string_view text = proto.pieces[id].text;
    for (size_t cut = text.empty() ? 0 : code_point_at(text, 0).size; cut < text.size(); cut += code_point_at(text, cut).size)
      if (is_mergeable(proto, ids, text.substr(0, cut)) && is_mergeable(proto, ids, text.substr(cut)))
        merges.push_back({text.substr(0, cut), text.substr(cut)});
  }
  return merges;
}

std::optional<size_t> unknown_piece(const SentencepieceModel& proto) {
  for (size_t id = 0; id < proto.pieces.size(); ++id)
    if (proto.pieces[id].type == PieceType::unknown) return id;
  return std::nullopt;
}

json model_of(const SentencepieceModel& proto) {
  const auto unknown = unknown_piece(proto);
  if (proto.type == SentencepieceModel::Type::unigram) {
    json vocab = json::array();
    for (const auto& piece : proto.pieces) vocab.push_back({piece.text, piece.score});
    return {{"type", "Unigram"}, {"vocab", vocab}, {"unk_id", unknown ? json(*unknown) : json()}, {"byte_fallback", proto.byte_fallback}};
  }
  std::map<std::string_view, size_t> ids;
  json vocab = json::object();
  for (size_t id = 0; id < proto.pieces.size(); ++id) {
    ids[proto.pieces[id].text] = id;
    vocab[proto.pieces[id].text] = id;
  }
  return {{"type", "BPE"},    {"unk_token", unknown ? json(proto.pieces[*unknown].text) : json()},
          {"fuse_unk", true}, {"byte_fallback", proto.byte_fallback},
          {"vocab", vocab},   {"merges", merges_of(proto, ids)}};
}

json replace(json pattern, const std::string& content) {
  return {{"type", "Replace"}, {"pattern", std::move(pattern)}, {"content", content}};
}

void add_normalizer(const SentencepieceModel& proto, bool prefix, bool legacy, json& document) {
  json steps = json::array();
  if (!proto.character_map.empty())
    steps.push_back({{"type", "Precompiled"}, {"precompiled_charsmap", encode_base64(proto.character_map)}});
  if (proto.remove_extra_whitespaces) {
    steps.push_back(replace({{"Regex", "\\A +| +\\z"}}, ""));
    steps.push_back(replace({{"Regex", " {2,}"}}, " "));
  }
  const std::string space(proto.escape_whitespaces ? kMetaspace : " ");
  if (legacy || !proto.escape_whitespaces) {
    if (prefix) steps.push_back({{"type", "Prepend"}, {"prepend", space}});
    if (proto.escape_whitespaces) steps.push_back(replace({{"String", " "}}, space));
  } else {
    document["pre_tokenizer"] = {
        {"type", "Metaspace"}, {"replacement", kMetaspace}, {"prepend_scheme", prefix ? "first" : "never"}, {"split", false}};
  }
  if (!steps.empty()) document["normalizer"] = {{"type", "Sequence"}, {"normalizers", steps}};
}

json decoder_of(bool prefix) {
  json steps{replace({{"String", kMetaspace}}, " "), {{"type", "ByteFallback"}}, {{"type", "Fuse"}}};
  if (prefix) steps.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  return {{"type", "Sequence"}, {"decoders", steps}};
}

json added_tokens_of(const SentencepieceModel& proto) {
  json tokens = json::array();
  for (size_t id = 0; id < proto.pieces.size(); ++id) {
    const auto& piece = proto.pieces[id];
    const bool special = piece.type == PieceType::control || piece.type == PieceType::unknown;
    if (special || piece.type == PieceType::user_defined)
      tokens.push_back({{"id", id}, {"content", piece.text}, {"normalized", false}, {"special", special}});
  }
  return tokens;
}

/// Special tokens that only the model names.
void fill_in(const SentencepieceModel& proto, TokenizerConfig& config) {
  const auto fill = [&](std::optional<std::string>& token, int64_t id) {
    if (!token && id >= 0 && id < static_cast<int64_t>(proto.pieces.size())) token = proto.pieces[static_cast<size_t>(id)].text;
  };
  fill(config.bos_token, proto.bos_id);
  fill(config.eos_token, proto.eos_id);
  fill(config.unk_token, proto.unk_id);
}

/// A token with its id, where there is one.
json named_token(const SentencepieceModel& proto, const TokenizerConfig& config, const std::string& text) {
  for (size_t id = 0; id < proto.pieces.size(); ++id)
    if (!text.empty() && proto.pieces[id].text == text) return {{"id", text}, {"ids", {id}}};
  for (const AddedToken& token : config.added_tokens)
    if (!text.empty() && token.content == text) return {{"id", text}, {"ids", {token.id}}};
  return {};
}

json post_processor_of(const SentencepieceModel& proto, const TokenizerConfig& config) {
  json single = json::array(), pair = json::array(), special = json::object();
  const auto add = [&](bool wanted, const json& token) {
    if (!wanted || token.is_null()) return;
    special[token["id"].get<std::string>()] = token;
    single.push_back({{"SpecialToken", {{"id", token["id"]}, {"type_id", 0}}}});
  };
  add(config.add_bos_token.value_or(proto.type == SentencepieceModel::Type::bpe),
      named_token(proto, config, config.bos_token.value_or("")));
  single.push_back({{"Sequence", {{"id", "A"}, {"type_id", 0}}}});
  add(config.add_eos_token.value_or(false), named_token(proto, config, config.eos_token.value_or("")));
  pair = single;
  for (json piece : single) {
    json& body = piece.begin().value();
    body["type_id"] = 1;
    if (piece.contains("Sequence")) body["id"] = "B";
    pair.push_back(piece);
  }
  return {{"type", "TemplateProcessing"}, {"single", single}, {"pair", pair}, {"special_tokens", special}};
}

}  // namespace

json sentencepiece_document(const fs::path& path, TokenizerConfig& config) {
  const SentencepieceModel proto = parse_sentencepiece(read_file(path, kFileLimit), path.string());
  if (proto.type != SentencepieceModel::Type::bpe && proto.type != SentencepieceModel::Type::unigram)
    fail(ErrorKind::unsupported, "{}: sentencepiece model type {} is not supported, only unigram and BPE", path.string(),
         static_cast<uint64_t>(proto.type));
  fill_in(proto, config);
  const bool prefix = config.add_prefix_space.value_or(proto.add_dummy_prefix);
  json document{{"model", model_of(proto)},
                {"decoder", decoder_of(prefix)},
                {"added_tokens", added_tokens_of(proto)},
                {"post_processor", post_processor_of(proto, config)}};
  add_normalizer(proto, prefix, config.legacy, document);
  return document;
}

TokenizerDocument read_tokenizer_document(const fs::path& path) {
  const TokenizerFile file = find_tokenizer(path);
  switch (file.kind) {
    case TokenizerFile::Kind::gguf: return read_gguf_document(file.path);
    case TokenizerFile::Kind::ir: fail(ErrorKind::unsupported, "{}: this is a tokenizer IR already", file.path.string());
    case TokenizerFile::Kind::own: break;
  }
  return read_file_document(file.path.parent_path(), file.path);
}

}  // namespace nibble::tokenizer
