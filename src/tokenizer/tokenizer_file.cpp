#include "tokenizer/tokenizer_file.hpp"

#include <simdjson.h>

#include "base/fail.hpp"
#include "base/mapped_file.hpp"

namespace nibble::tokenizer {
namespace {

namespace dom = simdjson::dom;
using json = nlohmann::json;

constexpr size_t kFileLimit = 512 << 20;  // the largest published ones have some 35 MB
constexpr int kMaxDepth = 256;

bool is_list(std::string_view parent, std::string_view key) { return parent == "model" && (key == "vocab" || key == "merges"); }

[[noreturn]] void fail_deep(const std::string& place) {
  fail(ErrorKind::unsupported, "{}: nested more than {} levels deep", place, kMaxDepth);
}

json to_document(const dom::element& element, std::string_view key, const std::string& place, int depth) {
  if (depth > kMaxDepth) fail_deep(place);
  switch (element.type()) {
    case dom::element_type::OBJECT: {
      json object = json::object();
      for (const auto& [name, value] : dom::object(element)) {
        const bool skips = depth == 1 && is_list(key, name) && (value.is_array() || value.is_object());
        object[std::string(name)] =
            skips ? (value.is_array() ? json::array() : json::object()) : to_document(value, name, place, depth + 1);
      }
      return object;
    }
    case dom::element_type::ARRAY: {
      json array = json::array();
      for (const dom::element value : dom::array(element)) array.push_back(to_document(value, "", place, depth + 1));
      return array;
    }
    case dom::element_type::STRING: return std::string_view(element);
    case dom::element_type::INT64: return int64_t(element);
    case dom::element_type::UINT64: return uint64_t(element);
    case dom::element_type::DOUBLE: return double(element);
    case dom::element_type::BOOL: return bool(element);
    case dom::element_type::NULL_VALUE: return nullptr;
  }
  return nullptr;
}

std::optional<uint64_t> token_id(const dom::element& value) {
  uint64_t id = 0;
  return value.get(id) == simdjson::SUCCESS ? std::optional(id) : std::nullopt;
}

void read_tokens(const dom::object& entries, const JsonView& list, ModelLists& lists) {
  for (const auto& [token, id] : entries) lists.add_token(token, token_id(id), list);
}

void read_scores(const dom::array& entries, const JsonView& list, ModelLists& lists) {
  for (const dom::element entry : entries) {
    std::string_view token;
    double score = 0;
    dom::array pair;
    if (entry.get(pair) != simdjson::SUCCESS || pair.size() != 2 || pair.at(0).get(token) != simdjson::SUCCESS ||
        pair.at(1).get(score) != simdjson::SUCCESS)
      reject_score(list, lists.scores.size());
    lists.scores.emplace_back(token, score);
  }
}

void read_merges(const dom::array& entries, const JsonView& list, ModelLists& lists) {
  size_t index = 0;
  for (const dom::element entry : entries) {
    std::string_view left, right;
    dom::array pair;
    if (entry.get(left) == simdjson::SUCCESS)
      lists.add_merge_line(left, index, list);
    else if (entry.get(pair) == simdjson::SUCCESS && pair.size() == 2 && pair.at(0).get(left) == simdjson::SUCCESS &&
             pair.at(1).get(right) == simdjson::SUCCESS)
      lists.add_merge(left, right);
    else
      reject_merge(list, index);
    ++index;
  }
}

ModelLists read_lists(const dom::element& root, const JsonView& document) {
  ModelLists lists;
  dom::element model, vocab, merges;
  if (root["model"].get(model) != simdjson::SUCCESS || !model.is_object()) return lists;
  const JsonView view = document.at("model");
  if (model["vocab"].get(vocab) == simdjson::SUCCESS && vocab.is_object()) read_tokens(dom::object(vocab), view.at("vocab"), lists);
  if (model["vocab"].get(vocab) == simdjson::SUCCESS && vocab.is_array()) read_scores(dom::array(vocab), view.at("vocab"), lists);
  if (model["merges"].get(merges) != simdjson::SUCCESS || merges.is_null()) return lists;
  if (!merges.is_array()) view.at("merges").reject("must be an array");
  read_merges(dom::array(merges), view.at("merges"), lists);
  return lists;
}

}  // namespace

struct TokenizerJsonFile::Text {
  dom::parser parser;
};

TokenizerJsonFile::TokenizerJsonFile(const std::filesystem::path& path) : text_(std::make_unique<Text>()) {
  std::string text = read_file(path, kFileLimit);
  text.reserve(text.size() + simdjson::SIMDJSON_PADDING);
  dom::element root;
  const auto error = text_->parser.parse(text).get(root);
  if (error == simdjson::DEPTH_ERROR) fail_deep(path.string());
  if (error != simdjson::SUCCESS) fail(ErrorKind::corrupt, "{}: not valid JSON: {}", path.string(), simdjson::error_message(error));
  document_ = to_document(root, "", path.string(), 0);
  lists_ = read_lists(root, JsonView(document_, path.string()));
}

TokenizerJsonFile::~TokenizerJsonFile() = default;

}  // namespace nibble::tokenizer
