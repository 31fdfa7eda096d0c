#include "chat/response/delta_writer.hpp"

namespace nibble {

namespace {

void append(std::vector<ResponseDelta>& deltas, ResponseDelta::Kind kind, size_t index, std::string_view text) {
  if (text.empty()) return;
  if (deltas.empty() || deltas.back().kind != kind) {
    deltas.push_back({});
    deltas.back().kind = kind;
    deltas.back().index = index;
  }
  deltas.back().text += text;
}

/// The finalizer of splitmix64 (Steele, Lea, Flood 2014).
uint64_t mixed(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

}  // namespace

void TextChannel::write(std::string_view text, std::vector<ResponseDelta>& out) {
  for (char c : text) {
    const bool space = c == ' ' || c == '\n' || c == '\r' || c == '\t';
    if (space && spaces_.size() < kMaxSpaces) {
      spaces_ += c;
      continue;
    }
    write_spaces(out);
    append(out, kind_, 0, std::string_view(&c, 1));
    blank_ = empty_ = false;
  }
}

void TextChannel::mark() {
  spaces_.clear();
  blank_ = after_mark_ = true;
}

void TextChannel::write_spaces(std::vector<ResponseDelta>& out) {
  if (!(after_mark_ && blank_))
    append(out, kind_, 0, spaces_);
  else if (!empty_)
    append(out, kind_, 0, "\n");
  spaces_.clear();
}

void TextChannel::finish(std::vector<ResponseDelta>& out) {
  if (!(after_mark_ && blank_)) append(out, kind_, 0, spaces_);
  spaces_.clear();
}

std::string DeltaWriter::make_id() const {
  static constexpr char kDigits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  uint64_t bits = mixed(id_seed_ + (calls_ + 1) * 0x9E3779B97F4A7C15u);
  std::string id;
  for (; id.size() < 9; bits /= 62) id += kDigits[bits % 62];
  return id;
}

void DeltaWriter::begin_call(std::string name, std::string id) {
  content_.mark();
  ResponseDelta& delta = deltas_.emplace_back();
  delta.kind = ResponseDelta::Kind::call_begin;
  delta.index = calls_;
  delta.id = id.empty() ? make_id() : std::move(id);
  delta.name = std::move(name);
  in_call_ = true;
  ++calls_;
}

void DeltaWriter::arguments(std::string_view json) { append(deltas_, ResponseDelta::Kind::call_arguments, calls_ - 1, json); }

void DeltaWriter::end_call(bool complete) {
  ResponseDelta& delta = deltas_.emplace_back();
  delta.kind = ResponseDelta::Kind::call_end;
  delta.index = calls_ - 1;
  delta.complete = complete;
  in_call_ = false;
}

void DeltaWriter::finish() {
  content_.finish(deltas_);
  ResponseDelta& delta = deltas_.emplace_back();
  delta.kind = ResponseDelta::Kind::finish;
  delta.text = calls_ > 0 ? "tool_calls" : "stop";
}

}  // namespace nibble
