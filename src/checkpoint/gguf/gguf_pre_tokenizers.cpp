#include "checkpoint/gguf/gguf_pre_tokenizers.hpp"

#include <algorithm>
#include <iterator>

#include "base/fail.hpp"
#include "checkpoint/shown.hpp"

namespace nibble {

namespace {

using nlohmann::json;

// Patterns of published tokenizers.
constexpr const char* kLlama3 =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
constexpr const char* kQwen2 =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
constexpr const char* kQwen35 =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| "
    "?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)"
    "|\\s+";
constexpr const char* kTekken =
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+"
    "|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*"
    "|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
constexpr const char* kGpt4o =
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    "|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    "|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
constexpr const char* kBloom = " ?[^(\\s|[.,!?…。，、।۔،])]+";
constexpr const char* kCjk = "[一-龥぀-ゟ゠-ヿ]+";
constexpr const char* kDeepseek3 =
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*"
    "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
constexpr const char* kDeepseekLetters =
    "\\s?["
    "A-Za-z\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u01bc-\u01bf\u01c4-\u0293\u0295-\u02af\u0370-\u0373\u0376\u0377\u037b-\u037d"
    "\u037f\u0386\u0388-\u038a\u038c\u038e-\u03a1\u03a3-\u03f5\u03f7-\u0481\u048a-\u052f\u0531-\u0556\u10a0-\u10c5\u13a0-\u13f5\u13f8"
    "-\u13fd\u1c90-\u1cba\u1cbd-\u1cbf\u1d00-\u1d2b\u1d6b-\u1d77\u1d79-\u1d9a\u1e00-\u1f15\u1f18-\u1f1d\u1f20-\u1f45\u1f48-\u1f4d"
    "\u1f50-\u1f57\u1f59\u1f5b\u1f5d\u1f5f-\u1f7d\u1f80-\u1fb4\u1fb6-\u1fbc\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc\u1fd0-\u1fd3\u1fd6-\u1fdb"
    "\u1fe0-\u1fec\u1ff2-\u1ff4\u1ff6-\u1ffc\u2102\u2107\u210a-\u2113\u2115\u2119-\u211d\u2124\u2126\u2128\u212a-\u212d\u212f-\u2134"
    "\u2139\u213c-\u213f\u2145-\u2149\u214e\u2183\u2184\u2c00-\u2c7b\u2c7e-\u2ce4\u2ceb-\u2cee\u2cf2\u2cf3\ua640-\ua66d\ua680-\ua69b"
    "\ua722-\ua76f\ua771-\ua787\ua78b-\ua78e\uab70-\uabbf\ufb00-\ufb06\ufb13-\ufb17\uff21-\uff3a\uff41-\uff5a\U00010400-\U0001044f"
    "\U000104b0-\U000104d3\U000104d8-\U000104fb\U00010c80-\U00010cb2\U00010cc0-\U00010cf2\U000118a0-\U000118df\U0001e900-\U0001e943"
    "]+";
constexpr const char* kSeedCoder =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

json split(std::string_view pattern) {
  return {{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}, {"invert", false}};
}

json byte_level(bool use_regex) {
  return {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", use_regex}};
}

json digits(bool individual) { return {{"type", "Digits"}, {"individual_digits", individual}}; }

json sequence(json::array_t steps) { return {{"type", "Sequence"}, {"pretokenizers", std::move(steps)}}; }

/// One pattern, then bytes.
json pattern(std::string_view regex) { return sequence({split(regex), byte_level(false)}); }

json gpt2() { return byte_level(true); }
json digits_gpt2() { return sequence({digits(true), byte_level(true)}); }

json falcon() {
  return sequence({{{"type", "Punctuation"}, {"behavior", "Contiguous"}}, byte_level(true), digits(false), split("[0-9][0-9][0-9]")});
}

json deepseek() {
  return sequence({split("[\\r\\n]"), split(kDeepseekLetters), split("\\s?[!-/:-~！-／：-～‘-‟　-。]+"), split("\\s+$"),
                   split("[一-龥ࠀ-一가-퟿]+"), digits(false), byte_level(false)});
}

json deepseek_coder() {
  return sequence(
      {split("[\\r\\n]"), split("\\s?\\p{L}+"), split("\\s?\\p{P}+"), split("[一-龥ࠀ-一가-퟿]+"), digits(true), byte_level(false)});
}

json deepseek3() { return sequence({split("\\p{N}{1,3}"), split(kCjk), split(kDeepseek3), byte_level(false)}); }

/// What llama.cpp does for files that do not say.
json unnamed() { return sequence({split("[\\p{P}\\$\\+<=>\\^~\\|]+"), byte_level(true), split("\\p{N}+"), split("[0-9][0-9][0-9]")}); }

struct Entry {
  std::string_view name;
  json (*make)();
  bool is_composed = false, ignores_merges = false, adds_bos = false, cleans_up = false;
};

json llama3() { return pattern(kLlama3); }
json qwen2() { return pattern(kQwen2); }
json qwen35() { return pattern(kQwen35); }
json tekken() { return pattern(kTekken); }
json gpt4o() { return pattern(kGpt4o); }
json bloom() { return pattern(kBloom); }
json seed_coder() { return pattern(kSeedCoder); }
json viking() { return sequence({split(kBloom), digits(true), byte_level(false)}); }

constexpr Entry kEntries[] = {
    {"llama-bpe", llama3, false, true, true, true},
    {"llama3", llama3, false, true, true, true},
    {"llama-v3", llama3, false, true, true, true},
    {"falcon3", llama3, false, true, true, true},
    {"pixtral", llama3, false, true, true},
    {"lfm2", llama3, false, true, true},
    {"midm-2.0", llama3, false, true, true},
    {"dbrx", llama3},
    {"smaug-bpe", llama3, false, false, false, true},
    {"chatglm-bpe", llama3},
    {"glm4", llama3, false, true},
    {"qwen2", qwen2, true},
    {"deepseek-r1-qwen", qwen2},
    {"megrez", qwen2},
    {"stablelm2", qwen2},
    {"hunyuan", qwen2},
    {"grok-2", qwen2},
    {"qwen35", qwen35},
    {"tekken", tekken, false, true, true},
    {"gpt-4o", gpt4o},
    {"llama4", gpt4o},
    {"gpt-2", gpt2},
    {"phi-2", gpt2},
    {"mpt", gpt2},
    {"olmo", gpt2},
    {"jais", gpt2},
    {"gigachat", gpt2},
    {"exaone4", gpt2},
    {"mellum", gpt2},
    {"trillion", gpt2},
    {"a.x-4.0", gpt2},
    {"granite-docling", gpt2},
    {"starcoder", digits_gpt2},
    {"refact", digits_gpt2},
    {"command-r", digits_gpt2},
    {"smollm", digits_gpt2},
    {"codeshell", digits_gpt2},
    {"exaone", digits_gpt2},
    {"minerva-7b", digits_gpt2},
    {"falcon", falcon},
    {"bloom", bloom},
    {"gpt3-finnish", bloom},
    {"poro-chat", bloom},
    {"viking", viking},
    {"deepseek-llm", deepseek},
    {"deepseek-coder", deepseek_coder},
    {"deepseek-v3", deepseek3},
    {"hunyuan-dense", deepseek3},
    {"seed-coder", seed_coder},
    {"default", unnamed},
};

}  // namespace

GgufPreTokenizer find_gguf_pre_tokenizer(std::string_view name, std::string_view where) {
  auto found = std::find_if(std::begin(kEntries), std::end(kEntries), [&](const Entry& entry) { return entry.name == name; });
  if (found == std::end(kEntries))
    fail(ErrorKind::unsupported, "{}: tokenizer.ggml.pre is {}, which is not known: put the model's tokenizer.json beside the file", where,
         shown(name));
  return {found->make(), found->is_composed, found->ignores_merges, found->adds_bos, found->cleans_up};
}

}  // namespace nibble
