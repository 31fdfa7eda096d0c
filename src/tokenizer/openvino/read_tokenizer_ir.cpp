#include "tokenizer/openvino/read_tokenizer_ir.hpp"

#include <charconv>

#include "base/fail.hpp"
#include "ir/reader.hpp"
#include "tokenizer/openvino/ir_codec.hpp"

namespace nibble::tokenizer {
namespace {

namespace fs = std::filesystem;

std::optional<int64_t> integer_of(const RtInfo& info, const char* name) {
  const RtInfo* entry = info.find(name);
  int64_t value = 0;
  if (entry == nullptr) return std::nullopt;
  const auto [end, error] = std::from_chars(entry->value.data(), entry->value.data() + entry->value.size(), value);
  return error == std::errc() && end == entry->value.data() + entry->value.size() ? std::optional(value) : std::nullopt;
}

void read_chat_template(const RtInfo& info, TokenizerConfig& config) {
  const RtInfo* entry = info.find("chat_template");
  if (entry == nullptr || !config.chat_templates.empty()) return;
  if (entry->is_leaf) config.chat_templates["default"] = entry->value;
  for (const RtInfo& child : entry->children) config.chat_templates[child.name] = child.value;
}

void fill_in(const RtInfo& info, const IrCodec& codec, TokenizerConfig& config) {
  const std::pair<const char*, std::optional<std::string>*> tokens[] = {
      {"bos_token_id", &config.bos_token}, {"eos_token_id", &config.eos_token}, {"pad_token_id", &config.pad_token}};
  for (const auto& [name, token] : tokens) {
    const auto id = integer_of(info, name);
    if (!id || *token) continue;
    if (const auto spelled = codec.token(*id)) *token = std::string(*spelled);
  }
  read_chat_template(info, config);
}

}  // namespace

TokenizerSource read_tokenizer_ir(const fs::path& xml) {
  const fs::path other = xml.parent_path() / "openvino_detokenizer.xml";
  if (!fs::is_regular_file(xml)) fail(ErrorKind::not_found, "{}: no such file", xml.string());
  if (!fs::is_regular_file(other)) fail(ErrorKind::not_found, "{}: missing beside the tokenizer; ids cannot become text", other.string());
  Graph tokenizer = read_ir(xml), detokenizer = read_ir(other);
  const RtInfo info = tokenizer.rt_info();
  TokenizerConfig config = read_tokenizer_config(xml.parent_path());
  auto codec = std::make_unique<IrCodec>(std::move(tokenizer), xml.string(), std::move(detokenizer), other.string());
  fill_in(info, *codec, config);
  return {std::move(config), std::move(codec)};
}

}  // namespace nibble::tokenizer
