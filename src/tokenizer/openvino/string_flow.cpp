#include "tokenizer/openvino/string_flow.hpp"

#include <limits>

#include "base/fail.hpp"

namespace nibble::tokenizer {
namespace {

int32_t offset(size_t value) {
  if (value > static_cast<size_t>(std::numeric_limits<int32_t>::max()))
    fail(ErrorKind::unsupported, "the vocabulary has more than 2 GiB of text, which a tokenizer IR cannot hold");
  return static_cast<int32_t>(value);
}

Value integer_constant(Graph& graph, int64_t value) { return graph.add_constant(Tensor::scalar<int64_t>(value)).output(); }

}  // namespace

Value bytes_constant(Graph& graph, std::string_view bytes) {
  const std::span<const uint8_t> view(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  return graph.add_constant(Tensor::from<uint8_t>({static_cast<int64_t>(bytes.size())}, view)).output();
}

StringValues strings_constant(Graph& graph, std::span<const std::string> strings) {
  std::vector<int32_t> begins, ends;
  std::string chars;
  for (const std::string& text : strings) {
    begins.push_back(offset(chars.size()));
    chars.append(text);
    ends.push_back(offset(chars.size()));
  }
  return {list_constant(graph, begins), list_constant(graph, ends), bytes_constant(graph, chars)};
}

Value scalar_constant(Graph& graph, int32_t value) { return graph.add_constant(Tensor::scalar<int32_t>(value)).output(); }

Value list_constant(Graph& graph, const std::vector<int32_t>& values) {
  return graph.add_constant(Tensor::from<int32_t>({static_cast<int64_t>(values.size())}, values)).output();
}

void StringFlow::map(std::string_view type, std::vector<Value> more, Attributes attributes, bool with_marks) {
  std::vector<Value> inputs{strings_.begins, strings_.ends, strings_.chars};
  if (with_marks && marks_) inputs.push_back(marks_);
  inputs.insert(inputs.end(), more.begin(), more.end());
  Node& node = graph_.add(type, std::move(inputs), std::move(attributes));
  strings_ = {node.output(0), node.output(1), node.output(2)};
  if (with_marks && marks_) marks_ = node.output(3);
  is_split_ = false;
}

void StringFlow::replace(std::string_view pattern, std::string_view replacement, bool all) {
  map("RegexNormalization", {bytes_constant(graph_, pattern), bytes_constant(graph_, replacement)},
      {{"global_replace", attribute_text(all)}}, true);
}

void StringFlow::normalize(std::string_view form) {
  map("CharsMapNormalization", {},
      {{"add_dummy_prefix", "false"},
       {"remove_extra_whitespaces", "false"},
       {"escape_whitespaces", "false"},
       {"normalization_form", std::string(form)},
       {"case_fold", "false"},
       {"nmt", "false"}},
      true);
}

void StringFlow::map_characters(std::string_view character_map) {
  map("CharsMapNormalization", {bytes_constant(graph_, character_map)},
      {{"add_dummy_prefix", "false"},
       {"remove_extra_whitespaces", "false"},
       {"escape_whitespaces", "false"},
       {"normalization_form", ""},
       {"case_fold", "false"},
       {"nmt", "false"}},
      true);
}

/// Each text becomes a list of one piece.
void StringFlow::make_lists() {
  if (has_lists()) return;
  const Value zero = integer_constant(graph_, 0), one = integer_constant(graph_, 1);
  const Value shape = graph_.add("ShapeOf", {strings_.begins}, {{"output_type", "i64"}}, {}, "opset3").output();
  const Value count = graph_.add("Gather", {shape, zero, zero}, {{"batch_dims", "0"}}, {}, "opset8").output();
  const Value after = graph_.add("Add", {count, one}, {{"auto_broadcast", "numpy"}}).output();
  list_begins_ = graph_.add("Range", {zero, count, one}, {{"output_type", "i32"}}, {}, "opset4").output();
  list_ends_ = graph_.add("Range", {one, after, one}, {{"output_type", "i32"}}, {}, "opset4").output();
}

std::vector<Value> StringFlow::lists() {
  make_lists();
  return {list_begins_, list_ends_, strings_.begins, strings_.ends, strings_.chars};
}

void StringFlow::take_lists(Node& node) {
  list_begins_ = node.output(0);
  list_ends_ = node.output(1);
  strings_ = {node.output(2), node.output(3), node.output(4)};
  if (node.output_count() > 5) marks_ = node.output(5);
  is_split_ = true;
}

void StringFlow::split(std::string_view pattern, bool remove, bool invert) {
  std::vector<Value> inputs = lists();
  if (marks_) inputs.push_back(marks_);
  inputs.push_back(bytes_constant(graph_, pattern));
  take_lists(graph_.add("RegexSplit", std::move(inputs),
                        {{"behaviour", remove ? "remove" : "isolate"}, {"invert", attribute_text(invert)}, {"max_splits", "-1"}}));
}

void StringFlow::split_special(std::string_view pattern) {
  std::vector<Value> inputs = lists();
  if (marks_) inputs.push_back(marks_);
  inputs.push_back(bytes_constant(graph_, pattern));
  take_lists(graph_.add("SpecialTokensSplit", std::move(inputs)));
}

void StringFlow::spell_bytes() {
  std::vector<Value> inputs = lists();
  if (marks_) inputs.push_back(marks_);
  const bool was_split = is_split_;
  take_lists(graph_.add("BytesToChars", std::move(inputs)));
  is_split_ = was_split;
}

void StringFlow::bytes_from_tokens() { map("ByteFallback", {}, {}, false); }

void StringFlow::fuse() {
  if (!has_lists()) return;
  Node& node = graph_.add("FuzeRagged", {list_begins_, list_ends_, strings_.begins, strings_.ends});
  strings_ = {node.output(0), node.output(1), strings_.chars};
  list_begins_ = list_ends_ = Value{};
}

void StringFlow::validate(bool replace) { map("UTF8Validate", {}, {{"replace_mode", attribute_text(replace)}}, false); }

}  // namespace nibble::tokenizer
