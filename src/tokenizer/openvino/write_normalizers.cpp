#include <map>

#include "base/base64.hpp"
#include "tokenizer/openvino/character_map_writer.hpp"
#include "tokenizer/openvino/patterns.hpp"
#include "tokenizer/openvino/steps.hpp"

namespace nibble::tokenizer {
namespace {

void add_lowercase(StringFlow& flow) { flow.map_characters(lowercase_map()); }

void add_bert(const JsonView& view, StringFlow& flow) {
  const bool lowercase = view.boolean_or("lowercase", true);
  if (view.boolean_or("clean_text", true)) {
    flow.replace(R"([\x{0}-\x{8}\x{B}\x{C}\x{E}-\x{1F}\x{7F}-\x{9F}\x{FFFD}\p{Cf}\p{Co}])", "");
    flow.replace(kSpaceClass, " ");
  }
  if (view.boolean_or("handle_chinese_chars", true)) {
    flow.replace(R"(([\x{4E00}-\x{9FFF}\x{3400}-\x{4DBF}\x{20000}-\x{2A6DF}\x{2A700}-\x{2B73F}\x{2B740}-\x{2B81F}\x{2B920}-\x{2CEAF})"
                 R"(\x{F900}-\x{FAFF}\x{2F800}-\x{2FA1F}]))",
                 " $1 ");
  }
  if (view.boolean_or("strip_accents", lowercase)) {
    flow.normalize("nfd");
    flow.replace(R"(\p{Mn})", "");
  }
  if (lowercase) add_lowercase(flow);
}

void add_nmt(StringFlow& flow) {
  flow.replace(R"([\x01-\x08\x0B\x0E-\x1F\x7F\x{8F}\x{9F}])", "");
  flow.replace(R"([\x09\x0A\x0C\x0D\x{1680}\x{200B}-\x{200F}\x{2028}\x{2029}\x{2581}\x{FEFF}\x{FFFD}])", " ");
}

void add_strip(const JsonView& view, StringFlow& flow) {
  const std::string space(kSpaceClass);
  if (view.at("strip_left").boolean()) flow.replace("\\A" + space + "+", "", false);
  if (view.at("strip_right").boolean()) flow.replace("(?<!" + space + ")" + space + "+\\z", "", false);
}

void add_sequence(const JsonView& view, StringFlow& flow) {
  for (const JsonView& step : view.at("normalizers").elements()) add_normalizer(step, flow);
}

using Adder = void (*)(const JsonView&, StringFlow&);

const std::map<std::string_view, Adder>& adders() {
  static const std::map<std::string_view, Adder> table{
      {"BertNormalizer", add_bert},
      {"ByteLevel", [](const JsonView&, StringFlow& flow) { flow.spell_bytes(); }},
      {"Lowercase", [](const JsonView&, StringFlow& flow) { add_lowercase(flow); }},
      {"NFC", [](const JsonView&, StringFlow& flow) { flow.normalize("nfc"); }},
      {"NFD", [](const JsonView&, StringFlow& flow) { flow.normalize("nfd"); }},
      {"NFKC", [](const JsonView&, StringFlow& flow) { flow.normalize("nfkc"); }},
      {"NFKD", [](const JsonView&, StringFlow& flow) { flow.normalize("nfkd"); }},
      {"Nmt", [](const JsonView&, StringFlow& flow) { add_nmt(flow); }},
      {"Precompiled",
       [](const JsonView& view, StringFlow& flow) {
         const std::string map = decode_base64(view.string_or("precompiled_charsmap", ""), view.place());
         if (!map.empty()) flow.map_characters(map);
       }},
      {"Prepend", [](const JsonView& view,
                     StringFlow& flow) { flow.replace(R"(\A(?=[\s\S]))", literal_replacement(view.at("prepend").string()), false); }},
      {"Replace", [](const JsonView& view,
                     StringFlow& flow) { flow.replace(pattern_of(view.at("pattern")), literal_replacement(view.at("content").string())); }},
      {"Sequence", add_sequence},
      {"Strip", add_strip},
      {"StripAccents", [](const JsonView&, StringFlow& flow) { flow.replace(R"(\p{M})", ""); }},
  };
  return table;
}

}  // namespace

void add_normalizer(const JsonView& view, StringFlow& flow) {
  const std::string type = view.at("type").string();
  const auto adder = adders().find(type);
  if (adder == adders().end()) view.refuse("is a normalizer (" + type + ") that a tokenizer IR has no operation for");
  adder->second(view, flow);
}

}  // namespace nibble::tokenizer
