#include <algorithm>
#include <utility>

#include "chat/response/json_text.hpp"
#include "chat/response/literal_reader.hpp"
#include "chat/response/marker_search.hpp"
#include "chat/response/response_reader.hpp"

namespace nibble {

namespace {

constexpr size_t kMaxHeader = 512;
constexpr std::string_view kStart = "<|start|>", kChannel = "<|channel|>", kMessage = "<|message|>";

/// <|start|>ROLE<|channel|>CHANNEL to=RECIPIENT <|constrain|>TYPE<|message|>BODY, then <|end|>, <|call|> or <|return|>.
class HarmonyReader : public ResponseReader {
 public:
  HarmonyReader(bool with_calls, const std::vector<std::string>& ignored_tokens, DeltaWriter& writer)
      : with_calls_(with_calls), writer_(writer), search_(markers(ignored_tokens)) {}

  void push(char c) override {
    std::string text;
    const int marker = search_.push(c, text);
    take_text(text);
    if (marker != MarkerSearch::kNone) take_marker(marker);
  }

  void finish() override {
    take_text(search_.rest());
    if (state_ == State::header) writer_.content(header_.substr(prompt_header_));
    end_message(false);
    writer_.finish();
  }

  void continue_prompt(std::string_view prompt) override {
    const size_t start = prompt.rfind(kStart);
    if (start == std::string_view::npos || prompt.find("<|end|>", start) != std::string_view::npos) return;
    for (char c : prompt.substr(start)) push(c);
    prompt_header_ = state_ == State::header ? header_.size() : 0;
    writer_.take();  // the prompt's own part of the message is no answer
  }

 private:
  enum class State { outside, header, reasoning, content, call, dropped };
  enum Marker { start_marker, channel_marker, message_marker };

  static std::vector<std::string_view> markers(const std::vector<std::string>& ignored_tokens) {
    std::vector<std::string_view> result = {kStart, kChannel, kMessage, "<|end|>", "<|call|>", "<|return|>"};
    result.insert(result.end(), ignored_tokens.begin(), ignored_tokens.end());
    return result;
  }

  void take_text(std::string_view text) {
    switch (state_) {
      case State::outside:
      case State::content: return writer_.content(text);
      case State::reasoning: return writer_.reasoning(text);
      case State::call:
        for (char c : text) in_arguments(c);
        return;
      case State::header: header_ += text; break;
      case State::dropped: return;
    }
    if (header_.size() <= kMaxHeader) return;
    state_ = State::outside;
    writer_.content(std::exchange(header_, {}).substr(prompt_header_));
  }

  void take_marker(int marker) {
    if (marker == message_marker && state_ == State::header) return start_body();
    if (marker == start_marker || marker == channel_marker) {
      if (state_ != State::header) {
        end_message(true);
        header_.clear();
        prompt_header_ = 0;
        state_ = State::header;
      }
      header_ += search_.marker(marker);
    } else if (marker == message_marker) {
      take_text(kMessage);
    } else if (state_ != State::header) {
      end_message(true);
    }
  }

  void end_message(bool at_marker) {
    if (state_ == State::call) end_call(at_marker);
    if (at_marker && (state_ == State::content || state_ == State::reasoning)) mark();
    state_ = State::outside;
  }

  /// The message of a call is over; without arguments it has none.
  void end_call(bool at_marker) {
    json_.clear();
    if (!begun_) writer_.begin_call(name_);
    const bool whole = begun_ ? literal_.finish(json_) : at_marker;
    writer_.arguments(begun_ || !at_marker ? json_ : "{}");
    writer_.end_call(whole);
  }

  void mark() {
    writer_.mark_content();
    writer_.mark_reasoning();
  }

  /// The word behind `mark` in the header, up to white space or a marker.
  std::string header_word(std::string_view mark) const {
    const size_t at = header_.find(mark);
    if (at == std::string::npos) return {};
    const size_t begin = at + mark.size();
    return header_.substr(begin, std::min(header_.find_first_of(" \t\r\n<", begin), header_.size()) - begin);
  }

  void start_body() {
    const std::string name = header_word(kChannel), recipient = header_word("to=");
    mark();
    if (with_calls_ && recipient.starts_with("functions.") && recipient.size() > 10) {
      state_ = State::call;
      literal_ = LiteralReader();
      begun_ = false;
      name_ = recipient.substr(10);
    } else {
      state_ = name == "analysis" ? State::reasoning : State::content;
    }
  }

  void in_arguments(char c) {
    if (!begun_) {
      if (is_json_space(c)) return;
      writer_.begin_call(name_);
      begun_ = true;
    }
    json_.clear();
    const ReadStep step = literal_.push(c, json_);
    writer_.arguments(json_);
    if (step == ReadStep::more) return;
    writer_.end_call(step != ReadStep::failed);
    state_ = State::dropped;
  }

  bool with_calls_;
  DeltaWriter& writer_;
  MarkerSearch search_;
  State state_ = State::outside;
  bool begun_ = false;
  size_t prompt_header_ = 0;  ///< bytes of the header that the prompt had
  std::string header_, name_, json_;
  LiteralReader literal_;
};

}  // namespace

std::unique_ptr<ResponseReader> make_harmony_reader(bool with_calls, const std::vector<std::string>& ignored_tokens, DeltaWriter& writer) {
  return std::make_unique<HarmonyReader>(with_calls, ignored_tokens, writer);
}

}  // namespace nibble
