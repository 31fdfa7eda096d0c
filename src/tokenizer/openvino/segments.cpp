#include "tokenizer/openvino/segments.hpp"

#include "tokenizer/post_processors/makers.hpp"

namespace nibble::tokenizer {
namespace {

constexpr int64_t kFirst = -1, kSecond = -2;

void flatten(const JsonView& view, std::vector<JsonView>& processors) {
  const std::string type = view.at("type").string();
  if (type == "Sequence") {
    for (const JsonView& step : view.at("processors").elements()) flatten(step, processors);
  } else if (type != "ByteLevel") {  // which only trims offsets
    processors.push_back(view);
  }
}

int32_t type_id_of(const JsonView& piece) { return static_cast<int32_t>(piece.at("type_id").integer(0x7FFFFFFF)); }

std::vector<Segment> read_template(const JsonView& pieces, const JsonView& processor) {
  std::vector<Segment> segments;
  for (const JsonView& piece : pieces.elements()) {
    if (const auto text = piece.find("Sequence")) {
      segments.push_back({text->at("id").string() == "A" ? kFirst : kSecond, type_id_of(*text)});
      continue;
    }
    const JsonView token = piece.at("SpecialToken");
    for (const JsonView& id : processor.at("special_tokens").at(token.at("id").string()).at("ids").elements())
      segments.push_back({read_token_id(id), type_id_of(token)});
  }
  return segments;
}

int64_t named_id(const JsonView& pair) { return read_token_id(pair.elements().at(1)); }

Segments read_processor(const JsonView& view) {
  const std::string type = view.at("type").string();
  if (type == "TemplateProcessing") return {read_template(view.at("single"), view), read_template(view.at("pair"), view)};
  const int64_t cls = named_id(view.at("cls")), sep = named_id(view.at("sep"));
  const std::vector<Segment> single{{cls, 0}, {kFirst, 0}, {sep, 0}};
  if (type == "BertProcessing") return {single, {{cls, 0}, {kFirst, 0}, {sep, 0}, {kSecond, 1}, {sep, 1}}};
  return {single, {{cls, 0}, {kFirst, 0}, {sep, 0}, {sep, 0}, {kSecond, 0}, {sep, 0}}};
}

}  // namespace

Segments read_segments(const JsonView& document) {
  std::vector<JsonView> processors;
  if (const auto view = document.find("post_processor")) flatten(*view, processors);
  if (processors.size() > 1) processors.back().refuse("is a second template for special tokens, which a tokenizer IR has no operation for");
  if (processors.empty()) return {{{kFirst, 0}}, {{kFirst, 0}, {kSecond, 0}}};
  return read_processor(processors.front());
}

}  // namespace nibble::tokenizer
