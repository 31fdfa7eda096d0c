#include <algorithm>
#include <utility>

#include "chat/response/json_text.hpp"
#include "chat/response/marker_search.hpp"
#include "chat/response/response_reader.hpp"

namespace nibble {

namespace {

/// What a marker in the text outside of sections means.
enum class Meaning { reasoning_open, reasoning_close, section_open, section_close, call_open, dropped };

bool is_letter(char c) {
  const char letter = static_cast<char>(c | 0x20);
  return (letter >= 'a' && letter <= 'z') || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}

class MessageReader : public ResponseReader {
 public:
  MessageReader(const ToolFormat& tools, const ReasoningFormat& reasoning, const ToolSchemas& schemas,
                const std::vector<std::string>& ignored_tokens, DeltaWriter& writer)
      : tools_(tools),
        reasoning_(reasoning),
        schemas_(schemas),
        writer_(writer),
        outside_(outside_markers(ignored_tokens)),
        inside_(inside_markers()) {}

  void push(char c) override {
    switch (state_) {
      case State::outside: return in_outside(c);
      case State::section: return in_section(c);
      case State::call: return in_call(c);
      case State::broken: return in_broken(c);
    }
  }

  void finish() override {
    if (state_ == State::call) finish_call();
    if (state_ == State::section && section_calls_ == 0) text(raw_ + token_);
    if (state_ == State::outside) text(outside_.rest());
    writer_.finish();
  }

  void continue_prompt(std::string_view prompt) override {
    prompt = trimmed(prompt);
    for (size_t i = 0; i < meanings_.size(); ++i) {
      const std::string_view marker = outside_.marker(static_cast<int>(i));
      const Meaning meaning = meanings_[i];
      if (marker.empty() || !prompt.ends_with(marker)) continue;
      if (meaning != Meaning::reasoning_open && meaning != Meaning::section_open && meaning != Meaning::call_open) continue;
      take_marker(static_cast<int>(i));
      raw_.clear();
      return;
    }
  }

 private:
  enum class State { outside, section, call, broken };
  static constexpr size_t kMaxRaw = size_t{1} << 20;

  std::vector<std::string_view> outside_markers(const std::vector<std::string>& ignored_tokens) {
    std::vector<std::string_view> markers;
    const auto add = [&](const auto& list, Meaning meaning) {
      for (std::string_view marker : list) markers.push_back(marker), meanings_.push_back(meaning);
    };
    add(reasoning_.opens, Meaning::reasoning_open);
    add(reasoning_.closes, Meaning::reasoning_close);
    add(reasoning_.dropped, Meaning::dropped);
    add(tools_.section_opens, Meaning::section_open);
    // Where an end is the beginning of another marker, as of a fence, only a section knows it.
    if (closes_are_known_outside()) add(tools_.section_closes, Meaning::section_close);
    // "call:" alone is too common a word: such a call needs its section.
    if (std::none_of(tools_.call_opens.begin(), tools_.call_opens.end(), [](std::string_view open) { return is_letter(open[0]); }))
      add(tools_.call_opens, Meaning::call_open);
    add(ignored_tokens, Meaning::dropped);
    return markers;
  }

  bool closes_are_known_outside() const {
    for (std::string_view close : tools_.section_closes)
      for (std::string_view open : tools_.section_opens)
        if (open.starts_with(close)) return false;
    return !tools_.section_closes.empty();
  }

  std::vector<std::string_view> inside_markers() const {
    std::vector<std::string_view> markers;
    for (const Markers* list : {&tools_.call_opens, &tools_.section_closes, &tools_.between})
      markers.insert(markers.end(), list->begin(), list->end());
    return markers;
  }

  void text(std::string_view text) {
    if (in_reasoning_)
      writer_.reasoning(text);
    else
      writer_.content(text);
  }

  void in_outside(char c) {
    if (!in_reasoning_ && !outside_.holds() && writer_.content().empty() && tools_.bare_opens.find(c) != std::string_view::npos)
      return open_bare(c);
    std::string released;
    const int marker = outside_.push(c, released);
    text(released);
    if (marker != MarkerSearch::kNone) take_marker(marker);
  }

  void open_bare(char c) {
    state_ = State::section;
    section_calls_ = 0;
    in_section(c);
  }

  /// Acts on a marker where it can stand here; otherwise it is text.
  void take_marker(int marker) {
    const std::string_view spelled = outside_.marker(marker);
    switch (meanings_[static_cast<size_t>(marker)]) {
      case Meaning::reasoning_open:
        if (in_reasoning_ ? writer_.reasoning().blank() : writer_.content().blank()) {
          in_reasoning_ = true;
          return mark();
        }
        break;
      case Meaning::reasoning_close:
        if (in_reasoning_ || writer_.content().blank()) {
          in_reasoning_ = false;
          return mark();
        }
        break;
      case Meaning::section_close:
        if (!in_reasoning_ && writer_.calls() > 0 && writer_.content().blank()) return mark();
        break;
      case Meaning::dropped: return mark();
      case Meaning::section_open:
      case Meaning::call_open:
        if (in_reasoning_ && !tools_.ends_reasoning) break;
        return open_section(spelled, meanings_[static_cast<size_t>(marker)] == Meaning::call_open);
    }
    text(spelled);
  }

  void mark() {
    writer_.mark_content();
    writer_.mark_reasoning();
  }

  void open_section(std::string_view marker, bool with_call) {
    raw_ = marker;
    section_calls_ = 0;
    state_ = State::section;
    if (with_call) start_call(tools_.at_marker);
  }

  /// Keeps what may have to become text again.
  void keep(std::string_view text) {
    if (section_calls_ == 0) raw_ += text;
  }

  void in_section(char c) {
    token_ += c;
    bool beginning = false;
    for (std::string_view marker : inside_) {
      if (marker == token_) return take_token();
      beginning |= marker.starts_with(token_);
    }
    if (beginning) return;
    const std::string token = std::exchange(token_, {});
    const char first = token[0];
    if (first == '{' && tools_.at_brace != CallGrammar::none) return start_call(tools_.at_brace, token);
    if (is_letter(first) && tools_.at_word != CallGrammar::none) return start_call(tools_.at_word, token);
    if (!stands_between_calls(first) || raw_.size() > kMaxRaw) return leave_section(token);
    keep(token.substr(0, 1));
    push_all(token.substr(1));
  }

  bool stands_between_calls(char c) const {
    return is_json_space(c) || c == '[' || c == ']' || c == ',' || c == ';' || (c == '}' && section_calls_ > 0);
  }

  void take_token() {
    const std::string token = std::exchange(token_, {});
    keep(token);
    if (tools_.call_opens.contains(token)) return start_call(tools_.at_marker);
    if (tools_.section_closes.contains(token)) leave_section({});
  }

  /// Back to the text: all of the section when it had no call. `rest` comes after it.
  void leave_section(const std::string& rest) {
    state_ = State::outside;
    if (section_calls_ == 0) text(std::exchange(raw_, {}));
    if (section_calls_ > 0) writer_.mark_content();
    push_all(rest);
  }

  void push_all(const std::string& text) {
    for (char c : text) push(c);
  }

  void start_call(CallGrammar grammar, const std::string& beginning = {}) {
    switch (grammar) {
      case CallGrammar::json: call_ = make_json_call_reader(writer_); break;
      case CallGrammar::named: call_ = make_named_call_reader(tools_.named, writer_); break;
      case CallGrammar::xml: call_ = make_xml_call_reader(tools_.xml, schemas_, writer_); break;
      case CallGrammar::python: call_ = make_python_call_reader(writer_); break;
      case CallGrammar::none: return;
    }
    state_ = State::call;
    push_all(beginning);
  }

  void in_call(char c) {
    const ReadStep step = call_->push(c);
    if (step == ReadStep::failed) return break_call(c);
    if (writer_.in_call())
      in_reasoning_ = false, raw_.clear();
    else
      raw_ += c;
    if (step == ReadStep::more && raw_.size() <= kMaxRaw) return;
    if (step == ReadStep::more) return leave_section({});
    end_call(true);
    if (step == ReadStep::before) push(c);
  }

  void end_call(bool complete) {
    writer_.end_call(complete);
    ++section_calls_;
    raw_.clear();
    state_ = State::section;
  }

  /// A call that went wrong before it was certain is text; otherwise what is left of it is dropped up to the end of its section.
  void break_call(char c) {
    if (writer_.in_call()) {
      raw_.clear();
      end_call(false);
      state_ = closes_are_known_outside() ? State::broken : State::outside;
    } else {
      state_ = State::outside;
      text(std::exchange(raw_, {}));
    }
    push(c);
  }

  void in_broken(char c) {
    std::string released;
    const int marker = outside_.push(c, released);
    if (marker == MarkerSearch::kNone) return;
    const Meaning meaning = meanings_[static_cast<size_t>(marker)];
    if (meaning == Meaning::section_close) {
      state_ = State::outside;
    } else if (meaning == Meaning::section_open || meaning == Meaning::call_open) {
      take_marker(marker);
    }
  }

  void finish_call() {
    if (call_->finish())
      writer_.end_call(true);
    else if (writer_.in_call())
      writer_.end_call(false);
    else
      text(raw_);
    state_ = State::broken;
  }

  const ToolFormat& tools_;
  const ReasoningFormat& reasoning_;
  const ToolSchemas& schemas_;
  DeltaWriter& writer_;
  std::vector<Meaning> meanings_;
  MarkerSearch outside_;
  std::vector<std::string_view> inside_;  ///< what may stand in a section outside of calls
  State state_ = State::outside;
  bool in_reasoning_ = false;
  size_t section_calls_ = 0;
  std::string token_;  ///< in a section: what may become a marker
  std::string raw_;    ///< of the section until its first call is certain
  std::unique_ptr<CallReader> call_;
};

}  // namespace

std::unique_ptr<ResponseReader> make_message_reader(const ToolFormat& tools, const ReasoningFormat& reasoning, const ToolSchemas& schemas,
                                                    const std::vector<std::string>& ignored_tokens, DeltaWriter& writer) {
  return std::make_unique<MessageReader>(tools, reasoning, schemas, ignored_tokens, writer);
}

}  // namespace nibble
