#include <algorithm>
#include <optional>
#include <utility>

#include "chat/response/call_reader.hpp"
#include "chat/response/json_text.hpp"
#include "chat/response/marker_search.hpp"
#include "chat/response/xml_value.hpp"

namespace nibble {

namespace {

constexpr size_t kMaxName = 512;

class XmlCallReader : public CallReader {
 public:
  XmlCallReader(const XmlGrammar& grammar, const ToolSchemas& schemas, DeltaWriter& writer)
      : grammar_(grammar), schemas_(schemas), writer_(writer), value_end_(value_markers(grammar)) {}

  ReadStep push(char c) override {
    switch (state_) {
      case State::name: return in_name(c);
      case State::between: return in_between(c);
      case State::key: return in_key(c);
      case State::gap: return in_gap(c);
      case State::value: break;
    }
    return in_value(c);
  }

  bool finish() override { return false; }

 private:
  enum class State { name, between, key, gap, value };
  enum Marker { value_close, key_open, call_close, cdata_open, cdata_close };

  static std::vector<std::string_view> value_markers(const XmlGrammar& g) {
    return {g.value_close, g.unclosed_values ? g.key_open : "", g.unclosed_values ? g.call_close : "", g.cdata ? "<![CDATA[" : "",
            g.cdata ? "]]>" : ""};
  }

  /// name="..." in a tag gives what is in the quotes; `rest` is what follows.
  static std::string_view without_attributes(std::string_view tag, std::string_view& rest) {
    tag = trimmed(tag);
    const size_t quote = tag.find('"');
    if (quote == std::string_view::npos) return tag;
    rest = tag.substr(quote + 1);
    return tag.substr(0, quote);
  }

  ReadStep in_name(char c) {
    if (grammar_.name_end.empty() && c == '<') return take_name() ? (state_ = State::between, push(c)) : ReadStep::failed;
    text_ += c;
    if (text_.size() > kMaxName) return ReadStep::failed;
    if (grammar_.name_end.empty() || !text_.ends_with(grammar_.name_end)) return ReadStep::more;
    text_.resize(text_.size() - grammar_.name_end.size());
    return take_name() ? (state_ = State::between, ReadStep::more) : ReadStep::failed;
  }

  bool take_name() {
    std::string_view rest;
    name_ = without_attributes(text_, rest);
    text_.clear();
    return !name_.empty() && std::none_of(name_.begin(), name_.end(), is_json_space);
  }

  ReadStep in_between(char c) {
    if (text_.empty() && is_json_space(c)) return ReadStep::more;
    text_ += c;
    if (text_ == grammar_.call_close) return close();
    if (text_ == grammar_.key_open) return start_key();
    return grammar_.call_close.starts_with(text_) || grammar_.key_open.starts_with(text_) ? ReadStep::more : ReadStep::failed;
  }

  ReadStep start_key() {
    text_.clear();
    state_ = State::key;
    return ReadStep::more;
  }

  ReadStep in_key(char c) {
    text_ += c;
    if (text_.size() > kMaxName) return ReadStep::failed;
    if (!text_.ends_with(grammar_.key_end)) return ReadStep::more;
    text_.resize(text_.size() - grammar_.key_end.size());
    std::string_view attributes;
    const std::string key(without_attributes(text_, attributes));
    ParameterTypes types = schemas_.types(name_, key);
    if (attributes.find("string=\"true\"") != std::string_view::npos) types = {true, false, false};
    if (attributes.find("string=\"false\"") != std::string_view::npos) types = {false, true, true};
    begin();
    std::string json = first_ ? "" : ", ";
    first_ = false;
    append_json_text(key, json);
    writer_.arguments(json + ": ");
    text_.clear();
    value_.emplace(types, grammar_.line_ends);
    cdata_ = false;
    state_ = grammar_.value_open.empty() ? State::value : State::gap;
    return ReadStep::more;
  }

  ReadStep in_gap(char c) {
    if (text_.empty() && is_json_space(c)) return ReadStep::more;
    text_ += c;
    if (!grammar_.value_open.starts_with(text_)) return ReadStep::failed;
    if (text_ == grammar_.value_open) text_.clear(), state_ = State::value;
    return ReadStep::more;
  }

  ReadStep in_value(char c) {
    std::string text;
    const int marker = value_end_.push(c, text);
    json_.clear();
    value_->push(text, json_);
    writer_.arguments(json_);
    if (marker == MarkerSearch::kNone) return ReadStep::more;
    if (marker == cdata_open && value_->blank() && !cdata_) return cdata_ = true, ReadStep::more;
    if (marker == cdata_close && cdata_) return cdata_ = false, ReadStep::more;
    if (cdata_ || marker == cdata_open || marker == cdata_close) return keep_marker(marker);
    json_.clear();
    value_->finish(json_);
    writer_.arguments(json_);
    state_ = State::between;
    return marker == key_open ? start_key() : marker == call_close ? close() : ReadStep::more;
  }

  ReadStep keep_marker(int marker) {
    json_.clear();
    value_->push(value_end_.marker(marker), json_);
    writer_.arguments(json_);
    return ReadStep::more;
  }

  ReadStep close() {
    begin();
    writer_.arguments("}");
    return ReadStep::done;
  }

  void begin() {
    if (std::exchange(begun_, true)) return;
    writer_.begin_call(name_);
    writer_.arguments("{");
  }

  const XmlGrammar& grammar_;
  const ToolSchemas& schemas_;
  DeltaWriter& writer_;
  MarkerSearch value_end_;
  State state_ = State::name;
  bool begun_ = false, first_ = true, cdata_ = false;
  std::string text_, name_, json_;
  std::optional<XmlValue> value_;
};

}  // namespace

std::unique_ptr<CallReader> make_xml_call_reader(const XmlGrammar& grammar, const ToolSchemas& schemas, DeltaWriter& writer) {
  return std::make_unique<XmlCallReader>(grammar, schemas, writer);
}

}  // namespace nibble
