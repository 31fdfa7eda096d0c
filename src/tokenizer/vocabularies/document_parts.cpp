#include "tokenizer/vocabularies/document_parts.hpp"

#include <algorithm>
#include <set>

#include "base/fail.hpp"
#include "base/mapped_file.hpp"
#include "base/utf8.hpp"

namespace nibble::tokenizer {
namespace {

using json = nlohmann::json;

constexpr size_t kTextLimit = 256 << 20;

json place_entry(const TemplatePlace& place) {
  if (place.text == "$A" || place.text == "$B") return {{"Sequence", {{"id", place.text.substr(1)}, {"type_id", place.type_id}}}};
  return {{"SpecialToken", {{"id", place.text}, {"type_id", place.type_id}}}};
}

json template_list(const std::vector<TemplatePlace>& places, const json& vocabulary, json& tokens) {
  json list = json::array();
  for (const TemplatePlace& place : places) {
    if (!place.text.starts_with("$")) {
      const auto id = vocabulary.find(place.text);
      if (id == vocabulary.end()) continue;
      tokens[place.text] = {{"id", place.text}, {"ids", {*id}}, {"tokens", {place.text}}};
    }
    list.push_back(place_entry(place));
  }
  return list;
}

uint32_t next_free_id(const json& vocabulary) {
  uint64_t next = 0;
  for (const auto& [text, id] : vocabulary.items())
    if (id.is_number_unsigned()) next = std::max(next, id.get<uint64_t>() + 1);
  return static_cast<uint32_t>(std::min<uint64_t>(next, Vocabulary::kMaxId));
}

json added_entry(const std::string& text, uint32_t id, bool special) {
  return {{"id", id},        {"content", text},     {"single_word", false}, {"lstrip", false},
          {"rstrip", false}, {"normalized", false}, {"special", special}};
}

}  // namespace

json byte_level_part(bool add_prefix_space, bool trim_offsets, bool use_regex) {
  return {{"type", "ByteLevel"}, {"add_prefix_space", add_prefix_space}, {"trim_offsets", trim_offsets}, {"use_regex", use_regex}};
}

json split_part(std::string_view pattern, std::string_view behavior, bool invert) {
  return {{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", behavior}, {"invert", invert}};
}

json sequence_part(std::string_view list, std::vector<json> parts) { return {{"type", "Sequence"}, {std::string(list), std::move(parts)}}; }

json template_part(const std::vector<TemplatePlace>& single, const std::vector<TemplatePlace>& pair, const json& vocabulary) {
  json tokens = json::object();
  json one = template_list(single, vocabulary, tokens), two = template_list(pair, vocabulary, tokens);
  return {{"type", "TemplateProcessing"}, {"single", std::move(one)}, {"pair", std::move(two)}, {"special_tokens", std::move(tokens)}};
}

void add_tokens(json& document, const std::vector<std::string>& texts, const PlainFiles& files, bool appends) {
  const json& vocabulary = document["model"]["vocab"];
  json& added = document["added_tokens"];
  if (!added.is_array()) added = json::array();
  std::set<std::string> done;
  uint32_t next = next_free_id(vocabulary);
  const auto listed = files.added_tokens();
  const std::set<std::string> special(texts.begin(), texts.end());
  for (const auto& [text, id] : listed) {
    next = std::max(next, id + 1);
    if (!done.insert(text).second) continue;
    added.push_back(added_entry(text, id, special.contains(text)));
  }
  for (const std::string& text : texts) {
    if (text.empty() || !done.insert(text).second) continue;
    const auto id = vocabulary.find(text);
    if (id != vocabulary.end() && id->is_number_unsigned())
      added.push_back(added_entry(text, id->get<uint32_t>(), true));
    else if (appends)
      added.push_back(added_entry(text, next++, true));
  }
}

std::vector<std::string> read_lines(const std::filesystem::path& path) {
  const std::string text = read_file(path, kTextLimit);
  if (!is_utf8(text)) fail(ErrorKind::corrupt, "{}: the file is no UTF-8 text", path.string());
  std::vector<std::string> lines;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const size_t size = end > begin && text[end - 1] == '\r' ? end - begin - 1 : end - begin;
    lines.emplace_back(text, begin, size);
    begin = end + 1;
  }
  return lines;
}

}  // namespace nibble::tokenizer
