#include "checkpoint/gguf/gguf_tokenizer.hpp"

#include <algorithm>
#include <set>

#include "base/fail.hpp"
#include "base/utf8.hpp"
#include "checkpoint/gguf/gguf_pre_tokenizers.hpp"
#include "checkpoint/gguf/gguf_vocabulary.hpp"
#include "checkpoint/shown.hpp"

namespace nibble {

namespace {

using nlohmann::json;
using Type = GgufVocabulary::Type;

constexpr std::string_view kSpace = "\u2581";

/// Special tokens, with what sentencepiece takes where the metadata is silent.
struct SpecialTokens {
  explicit SpecialTokens(const GgufVocabulary& v)
      : bos(v.special("tokenizer.ggml.bos_token_id", v.is_sentencepiece ? std::optional<int64_t>(1) : std::nullopt)),
        eos(v.special("tokenizer.ggml.eos_token_id", v.is_sentencepiece ? std::optional<int64_t>(2) : std::nullopt)),
        unknown(v.special("tokenizer.ggml.unknown_token_id", v.is_sentencepiece ? std::optional<int64_t>(0) : std::nullopt)),
        padding(v.special("tokenizer.ggml.padding_token_id")) {}
  std::optional<int64_t> bos, eos, unknown, padding;
};

/// Phi-3's special tokens take the white space behind them along, which only the model's name tells.
bool strips_right(const GgufMetadata& metadata, std::string_view text) {
  std::string name(metadata.text("general.name").value_or(""));
  for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  bool is_phi3 = name.find("phi-3") != std::string::npos || name.find("phi3") != std::string::npos;
  return is_phi3 && text != "<unk>" && text != "<s>" && text != "<|endoftext|>";
}

json added_tokens(const GgufVocabulary& v) {
  json tokens = json::array();
  for (size_t id = 0; id < v.texts.size(); ++id) {
    bool special = v.is(id, Type::control) || v.is(id, Type::unknown);
    if ((!special && !v.is(id, Type::user_defined)) || v.texts[id].empty()) continue;
    tokens.push_back({{"id", id},
                      {"content", v.texts[id]},
                      {"single_word", false},
                      {"lstrip", false},
                      {"rstrip", special && strips_right(v.metadata, v.texts[id])},
                      {"normalized", false},
                      {"special", special}});
  }
  return tokens;
}

json vocabulary_object(const GgufVocabulary& v) {
  json object = json::object();
  for (size_t id = 0; id < v.texts.size(); ++id) object.emplace(std::string(v.texts[id]), id);
  return object;
}

json special_entry(const GgufVocabulary& v, int64_t id, int type_id) {
  return {{"SpecialToken", {{"id", v.text(id)}, {"type_id", type_id}}}};
}

/// Begin and end tokens around the text, where they are wanted.
json post_processor(const GgufVocabulary& v, const SpecialTokens& special, bool adds_bos) {
  bool bos = v.metadata.flag("tokenizer.ggml.add_bos_token").value_or(adds_bos) && special.bos;
  bool eos = v.metadata.flag("tokenizer.ggml.add_eos_token").value_or(false) && special.eos;
  if (!bos && !eos)
    return v.is_sentencepiece ? json(nullptr)
                              : json{{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", false}, {"use_regex", true}};
  json single = json::array(), pair = json::array(), tokens = json::object();
  auto add_part = [&](json& to, const char* name, int type_id) {
    if (bos) to.push_back(special_entry(v, *special.bos, type_id));
    to.push_back({{"Sequence", {{"id", name}, {"type_id", type_id}}}});
    if (eos) to.push_back(special_entry(v, *special.eos, type_id));
  };
  add_part(single, "A", 0);
  add_part(pair, "A", 0);
  add_part(pair, "B", 1);
  for (auto [wanted, id] : {std::pair{bos, special.bos}, {eos, special.eos}})
    if (wanted)
      tokens[std::string(v.text(*id))] = {{"id", v.text(*id)}, {"ids", json::array({*id})}, {"tokens", json::array({v.text(*id)})}};
  return {{"type", "TemplateProcessing"}, {"single", single}, {"pair", pair}, {"special_tokens", tokens}};
}

json bpe_model(const GgufVocabulary& v) {
  return {{"type", "BPE"},
          {"dropout", nullptr},
          {"unk_token", nullptr},
          {"continuing_subword_prefix", nullptr},
          {"end_of_word_suffix", nullptr},
          {"fuse_unk", false},
          {"byte_fallback", false},
          {"ignore_merges", false},
          {"vocab", vocabulary_object(v)}};
}

json replace(std::string_view from, std::string_view to) { return {{"type", "Replace"}, {"pattern", {{"String", from}}}, {"content", to}}; }

json sentencepiece_normalizer(const GgufMetadata& metadata, bool has_prefix) {
  json steps = json::array();
  if (metadata.flag("tokenizer.ggml.remove_extra_whitespaces").value_or(false)) {
    steps.push_back({{"type", "Strip"}, {"strip_left", true}, {"strip_right", true}});
    steps.push_back({{"type", "Replace"}, {"pattern", {{"Regex", " {2,}"}}}, {"content", " "}});
  }
  if (has_prefix) steps.push_back({{"type", "Prepend"}, {"prepend", kSpace}});
  steps.push_back(replace(" ", kSpace));
  return {{"type", "Sequence"}, {"normalizers", steps}};
}

json sentencepiece_decoder(bool has_prefix) {
  json steps = json::array({replace(kSpace, " "), {{"type", "ByteFallback"}}, {{"type", "Fuse"}}});
  if (has_prefix) steps.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  return {{"type", "Sequence"}, {"decoders", steps}};
}

json document(const GgufVocabulary& v) {
  return {{"version", "1.0"},      {"truncation", nullptr},   {"padding", nullptr}, {"added_tokens", added_tokens(v)},
          {"normalizer", nullptr}, {"pre_tokenizer", nullptr}};
}

json sentencepiece_json(const GgufVocabulary& v) {
  SpecialTokens special(v);
  bool has_prefix = v.metadata.flag("tokenizer.ggml.add_space_prefix").value_or(true);
  json model = bpe_model(v), merges = json::array();
  for (const auto& [left, right] : sentencepiece_merges(v)) merges.push_back(fmt::format("{} {}", left, right));
  model["merges"] = std::move(merges);
  if (special.unknown) model["unk_token"] = v.text(*special.unknown);
  model["fuse_unk"] = true;
  model["byte_fallback"] = std::find(v.types.begin(), v.types.end(), Type::byte) != v.types.end();
  json out = document(v);
  out["normalizer"] = sentencepiece_normalizer(v.metadata, has_prefix);
  out["post_processor"] = post_processor(v, special, true);
  out["decoder"] = sentencepiece_decoder(has_prefix);
  out["model"] = std::move(model);
  return out;
}

json checked_merges(const GgufMetadata& metadata) {
  json merges = json::array();
  for (std::string_view merge : metadata.texts("tokenizer.ggml.merges")) {
    if (!is_utf8(merge)) metadata.reject("tokenizer.ggml.merges", "holds what is not UTF-8");
    merges.push_back(merge);
  }
  return merges;
}

GgufPreTokenizer pre_tokenizer_of(const GgufMetadata& metadata) {
  return find_gguf_pre_tokenizer(metadata.text("tokenizer.ggml.pre").value_or("default"), metadata.where());
}

json byte_level_json(const GgufVocabulary& v) {
  GgufPreTokenizer pre = pre_tokenizer_of(v.metadata);
  json model = bpe_model(v), out = document(v);
  model["merges"] = checked_merges(v.metadata);
  model["ignore_merges"] = pre.ignores_merges;
  if (pre.is_composed) out["normalizer"] = {{"type", "NFC"}};
  out["pre_tokenizer"] = std::move(pre.pre_tokenizer);
  out["post_processor"] = post_processor(v, SpecialTokens(v), pre.adds_bos);
  out["decoder"] = {{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", true}, {"use_regex", true}};
  out["model"] = std::move(model);
  return out;
}

}  // namespace

bool has_gguf_tokenizer(const GgufMetadata& metadata) {
  return metadata.has("tokenizer.ggml.tokens") && metadata.text("tokenizer.ggml.model").value_or("none") != "none";
}

json gguf_tokenizer_json(const GgufMetadata& metadata) {
  GgufVocabulary vocabulary(metadata);
  return vocabulary.is_sentencepiece ? sentencepiece_json(vocabulary) : byte_level_json(vocabulary);
}

json gguf_tokenizer_config(const GgufMetadata& metadata) {
  json config{{"tokenizer_class", "PreTrainedTokenizerFast"}, {"clean_up_tokenization_spaces", false}};
  if (has_gguf_tokenizer(metadata)) {
    GgufVocabulary vocabulary(metadata);
    SpecialTokens special(vocabulary);
    for (auto [name, id] :
         {std::pair{"bos_token", special.bos}, {"eos_token", special.eos}, {"unk_token", special.unknown}, {"pad_token", special.padding}})
      if (id) config[name] = vocabulary.text(*id);
    if (!vocabulary.is_sentencepiece) config["clean_up_tokenization_spaces"] = pre_tokenizer_of(metadata).cleans_up;
  }
  auto templates = gguf_chat_templates(metadata);
  if (templates.size() > 1) {
    config["chat_template"] = json::array();
    for (const auto& [name, text] : templates) config["chat_template"].push_back({{"name", name}, {"template", text}});
  }
  return config;
}

std::map<std::string, std::string> gguf_chat_templates(const GgufMetadata& metadata) {
  constexpr std::string_view kKey = "tokenizer.chat_template";
  std::map<std::string, std::string> templates;
  for (const auto& [key, value] : metadata.values()) {
    bool is_named = key.starts_with(std::string(kKey) + ".");
    if (key != kKey && !is_named) continue;
    auto text = metadata.text(key);
    if (!is_utf8(*text)) metadata.reject(key, "is not UTF-8");
    templates[is_named ? key.substr(kKey.size() + 1) : "default"] = *text;
  }
  return templates;
}

namespace {

/// Special tokens that end a turn in the formats of chat models, whose metadata often names only one of them.
constexpr std::string_view kEndings[] = {
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "<|eom_id|>",
    "<EOT>",
    "</s>",
    "<|end_of_text|>",
    "<eos>",
    "<|return|>",
    "<|call|>",
    "<｜end▁of▁sentence｜>",
    "<|END_OF_TURN_TOKEN|>",
};

std::set<int64_t> ending_tokens(const GgufMetadata& metadata) {
  GgufVocabulary vocabulary(metadata);
  auto control = [&](std::string_view text) -> std::optional<int64_t> {
    auto found = vocabulary.ids.find(text);
    bool is_control = found != vocabulary.ids.end() && vocabulary.is(static_cast<size_t>(found->second), Type::control);
    return is_control ? std::optional(found->second) : std::nullopt;
  };
  std::set<int64_t> ids;
  for (std::string_view text : kEndings)
    if (auto id = control(text)) ids.insert(*id);
  if (control("<|return|>") && control("<|call|>") && control("<|end|>"))
    ids.erase(*control("<|end|>"));  // gpt-oss: one of several messages
  for (const char* key : {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"})
    if (auto id = vocabulary.special(key)) ids.insert(*id);
  return ids;
}

}  // namespace

json gguf_generation_config(const GgufMetadata& metadata) {
  json config{{"_from_model_config", true}};
  for (auto [key, name] : {std::pair{"tokenizer.ggml.bos_token_id", "bos_token_id"},
                           {"tokenizer.ggml.eos_token_id", "eos_token_id"},
                           {"tokenizer.ggml.padding_token_id", "pad_token_id"}})
    if (auto id = metadata.integer(key)) config[name] = *id;
  if (!has_gguf_tokenizer(metadata)) return config;
  auto endings = ending_tokens(metadata);
  if (endings.size() > 1) config["eos_token_id"] = endings;
  return config;
}

}  // namespace nibble
