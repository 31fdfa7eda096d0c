#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "nibble/chat.hpp"

namespace nibble {

/// Text of one kind. White space next to a marker belongs to the marker, so it is held back until something follows it; parts that
/// markers separate are lines.
class TextChannel {
 public:
  explicit TextChannel(ResponseDelta::Kind kind) : kind_(kind) {}

  void write(std::string_view text, std::vector<ResponseDelta>& out);
  /// There is a marker here: white space on both sides of it is dropped.
  void mark();
  /// Writes the white space that ends the text.
  void finish(std::vector<ResponseDelta>& out);
  /// Nothing but white space since the last marker, or since the beginning.
  bool blank() const { return blank_; }
  /// Nothing but white space so far.
  bool empty() const { return empty_; }

 private:
  static constexpr size_t kMaxSpaces = 4096;
  void write_spaces(std::vector<ResponseDelta>& out);

  ResponseDelta::Kind kind_;
  std::string spaces_;
  bool blank_ = true, empty_ = true, after_mark_ = false;
};

/// Collects the deltas that a parser makes out of one piece of text. Neighbours of a kind are joined.
class DeltaWriter {
 public:
  explicit DeltaWriter(uint64_t id_seed) : id_seed_(id_seed) {}

  void content(std::string_view text) { content_.write(text, deltas_); }
  void reasoning(std::string_view text) { reasoning_.write(text, deltas_); }
  void mark_content() { content_.mark(); }
  void mark_reasoning() { reasoning_.mark(); }
  const TextChannel& content() const { return content_; }
  const TextChannel& reasoning() const { return reasoning_; }

  /// A call begins; without an id in the text it gets one of nine letters and digits, which every template takes.
  void begin_call(std::string name, std::string id = {});
  void arguments(std::string_view json);
  void end_call(bool complete);
  bool in_call() const { return in_call_; }
  size_t calls() const { return calls_; }

  /// The end of the text.
  void finish();
  std::vector<ResponseDelta> take() { return std::exchange(deltas_, {}); }

 private:
  std::string make_id() const;

  uint64_t id_seed_;
  TextChannel content_{ResponseDelta::Kind::content}, reasoning_{ResponseDelta::Kind::reasoning};
  size_t calls_ = 0;
  bool in_call_ = false;
  std::vector<ResponseDelta> deltas_;
};

}  // namespace nibble
