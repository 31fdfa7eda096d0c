#include <map>

#include "base/fail.hpp"
#include "base/json.hpp"
#include "checkpoint/gguf/gguf_pre_tokenizers.hpp"
#include "tokenizer/vocabularies/document_parts.hpp"

namespace nibble::tokenizer {
namespace {

using json = nlohmann::json;
namespace fs = std::filesystem;

constexpr size_t kVocabularyLimit = 256 << 20;
constexpr std::string_view kClipPattern = R"('s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+)";

/// What the parts of a class are made from.
struct Making {
  const PlainFiles& files;
  json document;

  json& vocabulary() { return document["model"]["vocab"]; }
  void byte_level(bool default_prefix, bool trims) {
    document["pre_tokenizer"] = byte_level_part(files.flag("add_prefix_space", default_prefix), true, true);
    document["decoder"] = byte_level_part(true, true, true);
    document["post_processor"] = byte_level_part(true, trims, true);
  }
  void surround(const char* type, const std::string& before, const std::string& after, bool prefix, bool trims) {
    if (!vocabulary().contains(before) || !vocabulary().contains(after)) return;
    document["post_processor"] = {{"type", type},
                                  {"sep", {after, vocabulary()[after]}},
                                  {"cls", {before, vocabulary()[before]}},
                                  {"trim_offsets", trims},
                                  {"add_prefix_space", prefix}};
  }
};

/// Names of the special tokens and their defaults, in the order in which transformers adds those that are missing.
struct Specials {
  const char *bos = nullptr, *eos = nullptr, *unk = nullptr, *sep = nullptr, *pad = nullptr, *cls = nullptr, *mask = nullptr;
};

void make_gpt2(Making& m) {
  m.byte_level(false, false);
  if (!m.files.flag("add_bos_token", false)) return;
  const std::string bos = m.files.token("bos_token", "<|endoftext|>");
  m.document["post_processor"] = template_part({{bos, 0}, {"$A", 0}}, {{bos, 0}, {"$A", 0}, {bos, 1}, {"$B", 1}}, m.vocabulary());
}

void make_qwen2(Making& m) {
  m.byte_level(false, false);
  m.document["normalizer"] = {{"type", "NFC"}};
  m.document["pre_tokenizer"] = find_gguf_pre_tokenizer("qwen2", m.files.directory().string()).pre_tokenizer;
}

void make_roberta(Making& m) {
  m.byte_level(false, true);
  m.surround("RobertaProcessing", m.files.token("cls_token", "<s>"), m.files.token("sep_token", "</s>"),
             m.files.flag("add_prefix_space", false), m.files.flag("trim_offsets", true));
}

void make_deberta(Making& m) {
  m.byte_level(false, false);
  const std::string cls = m.files.token("cls_token", "[CLS]"), sep = m.files.token("sep_token", "[SEP]");
  m.document["post_processor"] =
      template_part({{cls, 0}, {"$A", 0}, {sep, 0}}, {{cls, 0}, {"$A", 0}, {sep, 0}, {"$B", 1}, {sep, 1}}, m.vocabulary());
}

void make_clip(Making& m) {
  json& model = m.document["model"];
  model["end_of_word_suffix"] = "</w>";
  model["unk_token"] = m.files.token("unk_token", "<|endoftext|>");
  m.document["normalizer"] = sequence_part(
      "normalizers",
      {{{"type", "NFC"}}, {{"type", "Replace"}, {"pattern", {{"Regex", "\\s+"}}}, {"content", " "}}, {{"type", "Lowercase"}}});
  m.document["pre_tokenizer"] =
      sequence_part("pretokenizers", {split_part(kClipPattern, "Removed", true), byte_level_part(false, true, true)});
  m.document["decoder"] = byte_level_part(true, true, true);
  m.surround("RobertaProcessing", m.files.token("bos_token", "<|startoftext|>"), m.files.token("eos_token", "<|endoftext|>"), false, false);
}

/// Language and task are for the caller to choose; what is always there is the start, and that there are no time stamps.
void make_whisper(Making& m) {
  m.byte_level(false, false);
  json known = m.vocabulary();
  for (const auto& [text, id] : m.files.added_tokens()) known[text] = id;
  const std::string eos = m.files.token("eos_token", "<|endoftext|>");
  const std::vector<TemplatePlace> single{{"<|startoftranscript|>", 0}, {"<|notimestamps|>", 0}, {"$A", 0}, {eos, 0}};
  std::vector<TemplatePlace> pair{{"<|startoftranscript|>", 0}, {"<|notimestamps|>", 0}, {"$A", 0}, {"$B", 1}, {eos, 1}};
  m.document["post_processor"] = template_part(single, pair, known);
}

struct Style {
  void (*make)(Making&);
  Specials specials;
};

constexpr const char* kEndOfText = "<|endoftext|>";
constexpr Specials kBartSpecials{"<s>", "</s>", "<unk>", "</s>", "<pad>", "<s>", "<mask>"};

const std::map<std::string_view, Style>& styles() {
  static const std::map<std::string_view, Style> table{
      {"", {make_gpt2, {kEndOfText, kEndOfText, kEndOfText}}},
      {"GPT2Tokenizer", {make_gpt2, {kEndOfText, kEndOfText, kEndOfText}}},
      {"CodeGenTokenizer", {make_gpt2, {kEndOfText, kEndOfText, kEndOfText}}},
      {"Qwen2Tokenizer", {make_qwen2, {nullptr, kEndOfText, kEndOfText, nullptr, kEndOfText}}},
      {"RobertaTokenizer", {make_roberta, kBartSpecials}},
      {"BartTokenizer", {make_roberta, kBartSpecials}},
      {"LEDTokenizer", {make_roberta, kBartSpecials}},
      {"LongformerTokenizer", {make_roberta, kBartSpecials}},
      {"MvpTokenizer", {make_roberta, kBartSpecials}},
      {"DebertaTokenizer", {make_deberta, {"[CLS]", "[SEP]", "[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"}}},
      {"CLIPTokenizer", {make_clip, {"<|startoftext|>", kEndOfText, kEndOfText, nullptr, kEndOfText}}},
      {"WhisperTokenizer", {make_whisper, {kEndOfText, kEndOfText, kEndOfText}}},
  };
  return table;
}

const Style& style_of(const fs::path& file, const std::string& name) {
  const auto style = styles().find(name);
  if (style != styles().end()) return style->second;
  std::string known;
  for (const auto& [key, entry] : styles())
    if (!key.empty()) known += fmt::format("{}{}", known.empty() ? "" : ", ", key);
  fail(ErrorKind::unsupported, "{}: how a {} reads it is not known without a tokenizer.json (known: {})", file.string(), name, known);
}

json read_merges(const fs::path& file) {
  json merges = json::array();
  std::vector<std::string> lines = read_lines(file);
  for (size_t i = 0; i < lines.size(); ++i)
    if (!lines[i].empty() && !(i == 0 && lines[i].starts_with("#version"))) merges.push_back(std::move(lines[i]));
  return merges;
}

}  // namespace

VocabularyDocument read_merges_vocabulary(const fs::path& vocab_json, const PlainFiles& files) {
  const Style& style = style_of(vocab_json, files.tokenizer_class());
  Making making{files, {}};
  making.document["model"] = {{"type", "BPE"}, {"vocab", read_json_object(vocab_json, kVocabularyLimit)}};
  making.document["model"]["merges"] = read_merges(vocab_json.parent_path() / "merges.txt");
  style.make(making);
  const Specials& s = style.specials;
  const auto token = [&](const char* key, const char* fallback) { return files.token(key, fallback ? fallback : ""); };
  std::vector<std::string> special{token("bos_token", s.bos),  token("eos_token", s.eos), token("unk_token", s.unk),
                                   token("sep_token", s.sep),  token("pad_token", s.pad), token("cls_token", s.cls),
                                   token("mask_token", s.mask)};
  for (const std::string& text : files.additional_tokens()) special.push_back(text);
  add_tokens(making.document, special, files, true);
  VocabularyDocument result{std::move(making.document), {}, {}, {}, {}};
  const auto name = [](const char* text) { return text ? std::optional<std::string>(text) : std::nullopt; };
  result.bos_token = name(s.bos), result.eos_token = name(s.eos), result.pad_token = name(s.pad), result.unk_token = name(s.unk);
  return result;
}

}  // namespace nibble::tokenizer
