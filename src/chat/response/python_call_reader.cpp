#include "chat/response/call_reader.hpp"
#include "chat/response/json_text.hpp"

namespace nibble {

namespace {

constexpr size_t kMaxName = 256;

bool is_name(char c) {
  const char letter = static_cast<char>(c | 0x20);
  return (letter >= 'a' && letter <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-' ||
         static_cast<unsigned char>(c) >= 0x80;
}

class PythonCallReader : public CallReader {
 public:
  explicit PythonCallReader(DeltaWriter& writer) : writer_(writer) {}

  ReadStep push(char c) override {
    switch (state_) {
      case State::name: return in_name(c);
      case State::opening: return is_json_space(c) ? ReadStep::more : c == '(' ? (state_ = State::key, ReadStep::more) : ReadStep::failed;
      case State::key: return in_key(c);
      case State::equals: return is_json_space(c) ? ReadStep::more : c == '=' ? start_value() : ReadStep::failed;
      case State::value: return in_value(c);
      case State::after: break;
    }
    if (is_json_space(c)) return ReadStep::more;
    if (c == ',') return state_ = State::key, ReadStep::more;
    return c == ')' ? close() : ReadStep::failed;
  }

  bool finish() override { return false; }

 private:
  enum class State { name, opening, key, equals, value, after };

  ReadStep in_name(char c) {
    if (is_name(c)) return name_ += c, name_.size() > kMaxName ? ReadStep::failed : ReadStep::more;
    if (name_.empty()) return ReadStep::failed;
    state_ = State::opening;
    return push(c);
  }

  ReadStep in_key(char c) {
    if (is_name(c)) return key_ += c, key_.size() > kMaxName ? ReadStep::failed : ReadStep::more;
    if (key_.empty()) return is_json_space(c) ? ReadStep::more : c == ')' ? close() : ReadStep::failed;
    state_ = State::equals;
    return push(c);
  }

  ReadStep start_value() {
    begin();
    std::string json = first_ ? "" : ", ";
    append_json_text(key_, json);
    writer_.arguments(json + ": ");
    first_ = false;
    key_.clear();
    literal_ = LiteralReader();
    state_ = State::value;
    return ReadStep::more;
  }

  ReadStep in_value(char c) {
    json_.clear();
    const ReadStep step = literal_.push(c, json_);
    writer_.arguments(json_);
    if (step == ReadStep::more || step == ReadStep::failed) return step;
    state_ = State::after;
    return step == ReadStep::before ? push(c) : ReadStep::more;
  }

  ReadStep close() {
    begin();
    writer_.arguments("}");
    return ReadStep::done;
  }

  void begin() {
    if (begun_) return;
    begun_ = true;
    // Llama 3 calls its built-in tools by a method: brave_search.call(query="...").
    if (name_.ends_with(".call")) name_.resize(name_.size() - 5);
    writer_.begin_call(name_);
    writer_.arguments("{");
  }

  DeltaWriter& writer_;
  State state_ = State::name;
  bool begun_ = false, first_ = true;
  std::string name_, key_, json_;
  LiteralReader literal_;
};

}  // namespace

std::unique_ptr<CallReader> make_python_call_reader(DeltaWriter& writer) { return std::make_unique<PythonCallReader>(writer); }

}  // namespace nibble
