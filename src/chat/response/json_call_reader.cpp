#include "chat/response/call_reader.hpp"
#include "chat/response/json_text.hpp"

namespace nibble {

namespace {

enum class Role { name, id, arguments, wrapper, other };

struct Member {
  std::string_view key;
  Role role;
};
constexpr Member kMembers[] = {
    {"name", Role::name},       {"tool_name", Role::name}, {"arguments", Role::arguments}, {"parameters", Role::arguments},
    {"args", Role::arguments},  {"id", Role::id},          {"call_id", Role::id},          {"tool_call_id", Role::id},
    {"function", Role::wrapper}};

Role role_of(std::string_view key) {
  for (const Member& member : kMembers)
    if (member.key == key) return member.role;
  return Role::other;
}

/// The JSON of `text` where that is JSON for an object.
std::string object_in(std::string_view text) {
  if (text.empty()) return "{}";
  if (text[0] != '{') return {};
  LiteralReader reader;
  std::string json;
  ReadStep step = ReadStep::more;
  for (size_t i = 0; i < text.size(); ++i) {
    if (step != ReadStep::more) return {};
    step = reader.push(text[i], json);
  }
  return step == ReadStep::done ? json : std::string();
}

class JsonCallReader : public CallReader {
 public:
  explicit JsonCallReader(DeltaWriter& writer) : writer_(writer) {}

  ReadStep push(char c) override {
    if (in_literal_) return in_literal(c);
    if (is_json_space(c)) return ReadStep::more;
    switch (state_) {
      case State::start: return c == '{' ? (state_ = State::key, ReadStep::more) : ReadStep::failed;
      case State::key: return c == '}' ? close() : c == '"' || c == '\'' ? start_literal(c) : ReadStep::failed;
      case State::colon: return c == ':' ? (state_ = State::value, ReadStep::more) : ReadStep::failed;
      case State::value: return start_value(c);
      case State::after: break;
    }
    if (c == ',') return state_ = State::key, ReadStep::more;
    if (c == '}') return close();
    return arguments_ended_ && begun_ ? ReadStep::before : ReadStep::failed;  // models forget the last bracket
  }

  bool finish() override { return begun_ && arguments_ended_ && !in_literal_; }

 private:
  enum class State { start, key, colon, value, after };

  ReadStep start_value(char c) {
    if (role_ == Role::wrapper && c == '{') return ++depth_, state_ = State::key, ReadStep::more;
    if (role_ == Role::wrapper) role_ = Role::name;
    // Only the first member of a role counts.
    if ((role_ == Role::name && !name_.empty()) || (role_ == Role::arguments && (begun_ || arguments_ended_))) role_ = Role::other;
    streams_ = role_ == Role::arguments && c == '{' && !name_.empty();
    if (streams_) begin();
    return start_literal(c);
  }

  ReadStep start_literal(char c) {
    literal_ = LiteralReader();
    in_literal_ = true;
    json_.clear();
    return in_literal(c);
  }

  ReadStep in_literal(char c) {
    const ReadStep step = literal_.push(c, json_);
    if (streams_) {
      writer_.arguments(json_);
      json_.clear();
    }
    if (state_ == State::value && role_ == Role::other) json_.clear();
    if (step == ReadStep::more || step == ReadStep::failed) return step;
    in_literal_ = false;
    if (!take_literal()) return ReadStep::failed;
    return step == ReadStep::before ? push(c) : ReadStep::more;
  }

  bool take_literal() {
    const bool text = json_.starts_with('"');
    if (state_ == State::key) {
      role_ = role_of(text_of_json(json_));
      state_ = State::colon;
      return true;
    }
    state_ = State::after;
    if (role_ == Role::name) return text && take_name();
    if (role_ == Role::id) id_ = text ? text_of_json(json_) : json_ == "null" ? "" : json_;
    if (role_ == Role::arguments) take_arguments(text);
    return true;
  }

  bool take_name() {
    name_ = text_of_json(json_);
    if (name_.empty()) return false;
    if (arguments_ended_) {
      begin();
      writer_.arguments(arguments_);
    }
    return true;
  }

  void take_arguments(bool text) {
    arguments_ended_ = true;
    if (streams_) return streams_ = false, void();
    if (json_ == "null") json_ = "{}";
    if (text)
      if (std::string object = object_in(trimmed(text_of_json(json_))); !object.empty()) json_ = std::move(object);
    arguments_ = std::move(json_);
    if (name_.empty()) return;
    begin();
    writer_.arguments(arguments_);
  }

  ReadStep close() {
    if (--depth_ > 0) return state_ = State::after, ReadStep::more;
    if (name_.empty()) return ReadStep::failed;
    if (!begun_) {
      begin();
      writer_.arguments("{}");
    }
    return ReadStep::done;
  }

  void begin() {
    writer_.begin_call(name_, id_);
    begun_ = true;
  }

  DeltaWriter& writer_;
  State state_ = State::start;
  Role role_ = Role::other;
  size_t depth_ = 1;
  LiteralReader literal_;
  bool in_literal_ = false, streams_ = false, begun_ = false, arguments_ended_ = false;
  std::string json_, name_, id_, arguments_;
};

}  // namespace

std::unique_ptr<CallReader> make_json_call_reader(DeltaWriter& writer) { return std::make_unique<JsonCallReader>(writer); }

}  // namespace nibble
