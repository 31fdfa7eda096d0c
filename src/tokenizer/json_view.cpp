#include "tokenizer/json_view.hpp"

#include "base/fail.hpp"
#include "base/mapped_file.hpp"
#include "base/utf8.hpp"

namespace nibble::tokenizer {
namespace {

// Deeper than any real pipeline of Sequences in Sequences; keeps recursion over the file's structure bounded.
constexpr int kMaxDepth = 64;

}  // namespace

JsonView::JsonView(const nlohmann::json& value, const JsonView& parent, std::string step)
    : value_(&value), file_(parent.file_), path_(parent.path_ + "/" + std::move(step)), depth_(parent.depth_ + 1) {
  if (depth_ > kMaxDepth) fail(ErrorKind::unsupported, "{}: nested more than {} levels deep", file_, kMaxDepth);
}

bool JsonView::has(std::string_view key) const {
  if (!value_->is_object()) return false;
  const auto member = value_->find(key);
  return member != value_->end() && !member->is_null();
}

JsonView JsonView::at(std::string_view key) const {
  if (!value_->is_object()) reject("must be an object");
  const auto member = value_->find(key);
  if (member == value_->end()) reject(fmt::format("lacks \"{}\"", key));
  return JsonView(*member, *this, std::string(key));
}

std::optional<JsonView> JsonView::find(std::string_view key) const {
  if (!has(key)) return std::nullopt;
  return at(key);
}

std::vector<JsonView> JsonView::elements() const {
  if (!value_->is_array()) reject("must be an array");
  std::vector<JsonView> views;
  views.reserve(value_->size());
  for (size_t i = 0; i < value_->size(); ++i) views.push_back(JsonView((*value_)[i], *this, std::to_string(i)));
  return views;
}

std::vector<std::pair<std::string, JsonView>> JsonView::members() const {
  if (!value_->is_object()) reject("must be an object");
  std::vector<std::pair<std::string, JsonView>> views;
  for (const auto& [key, value] : value_->items()) views.emplace_back(key, JsonView(value, *this, key));
  return views;
}

std::string JsonView::string() const {
  if (!value_->is_string()) reject("must be a string");
  return value_->get<std::string>();
}

bool JsonView::boolean() const {
  if (!value_->is_boolean()) reject("must be true or false");
  return value_->get<bool>();
}

double JsonView::number() const {
  if (!value_->is_number()) reject("must be a number");
  return value_->get<double>();
}

uint64_t JsonView::integer(uint64_t limit) const {
  const bool is_negative = value_->is_number_integer() && !value_->is_number_unsigned() && value_->get<int64_t>() < 0;
  if (!value_->is_number_integer() || is_negative || value_->get<uint64_t>() > limit)
    reject(fmt::format("must be an integer from 0 to {}", limit));
  return value_->get<uint64_t>();
}

char32_t JsonView::character() const {
  const std::string text = string();
  if (text.empty() || code_point_at(text, 0).size != text.size()) reject("must be a string of one character");
  return code_point_at(text, 0).value;
}

std::string JsonView::string_or(std::string_view key, std::string fallback) const { return has(key) ? at(key).string() : fallback; }

std::optional<std::string> JsonView::optional_string(std::string_view key) const {
  if (!has(key)) return std::nullopt;
  return at(key).string();
}

bool JsonView::boolean_or(std::string_view key, bool fallback) const { return has(key) ? at(key).boolean() : fallback; }

std::string JsonView::place() const { return file_ + ": " + (path_.empty() ? "the document" : path_); }

void JsonView::reject(std::string_view message) const { fail(ErrorKind::corrupt, "{} {}", place(), message); }

void JsonView::refuse(std::string_view message) const { fail(ErrorKind::unsupported, "{} {}", place(), message); }

nlohmann::json parse_json_file(const std::string& path, size_t limit) {
  const std::string text = read_file(path, limit);
  try {
    return nlohmann::json::parse(text);
  } catch (const nlohmann::json::exception& error) {
    fail(ErrorKind::corrupt, "{}: not valid JSON: {}", path, error.what());
  }
}

}  // namespace nibble::tokenizer
