#include "base/utf8.hpp"
#include "tokenizer/byte_level.hpp"
#include "tokenizer/vocabularies/document_parts.hpp"

namespace nibble::tokenizer {
namespace {

constexpr uint32_t kFirstByte = 3;  // after <pad>, </s> and <unk>
constexpr uint32_t kExtraIds = 125;

}  // namespace

VocabularyDocument byte_vocabulary(const PlainFiles& files) {
  using json = nlohmann::json;
  const std::string pad = files.token("pad_token", "<pad>"), eos = files.token("eos_token", "</s>"),
                    unk = files.token("unk_token", "<unk>");
  json vocabulary{{pad, 0u}, {eos, 1u}, {unk, 2u}};
  for (unsigned byte = 0; byte < 256; ++byte) vocabulary[to_utf8(byte_to_character(static_cast<unsigned char>(byte)))] = byte + kFirstByte;
  json document;
  document["pre_tokenizer"] = byte_level_part(false, true, false);
  document["decoder"] = byte_level_part(false, true, false);
  document["post_processor"] = template_part({{"$A", 0}, {eos, 0}}, {{"$A", 0}, {eos, 0}, {"$B", 0}, {eos, 0}}, vocabulary);
  document["model"] = {{"type", "BPE"}, {"vocab", std::move(vocabulary)}, {"merges", json::array()}};
  std::vector<std::string> special{pad, eos, unk};
  for (uint32_t i = 0; i < kExtraIds; ++i) special.push_back("<extra_id_" + std::to_string(i) + ">");
  add_tokens(document, special, files, true);
  return {std::move(document), {}, eos, pad, unk};
}

}  // namespace nibble::tokenizer
