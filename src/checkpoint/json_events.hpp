#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace nibble {

/// Base of readers that take a JSON document as a stream of events, so that what they need in memory is what they keep and not what a
/// hostile document nests. Handlers throw Error where an event does not fit; text that is not JSON throws Error{corrupt}. For one thread.
class JsonEvents : private nlohmann::json_sax<nlohmann::json> {
 public:
  /// `where` names the document in errors.
  explicit JsonEvents(std::string where) : where_(std::move(where)) {}
  void parse(std::string_view text);

 protected:
  virtual void on_open(char bracket) = 0;   ///< '{' or '['
  virtual void on_close(char bracket) = 0;  ///< '}' or ']'
  virtual void on_key(std::string& key) = 0;
  virtual void on_string(std::string& value) = 0;
  virtual void on_unsigned(uint64_t value) = 0;
  /// A null, a boolean or a number that is negative, fractional or beyond 64 bits.
  virtual void on_other(std::string_view what) = 0;

  /// From on_key: the value that follows raises no events.
  void skip_value() { skipping_ = true; }
  const std::string& where() const { return where_; }

 private:
  bool null() override { return other("null"); }
  bool boolean(bool) override { return other("a boolean"); }
  bool number_integer(number_integer_t) override { return other("a negative number"); }
  bool number_unsigned(number_unsigned_t value) override;
  bool number_float(number_float_t, const string_t&) override { return other("a number that is no 64-bit integer"); }
  bool string(string_t& value) override;
  bool binary(binary_t&) override { return false; }
  bool start_object(size_t) override { return open('{'); }
  bool key(string_t& key) override;
  bool end_object() override { return close('}'); }
  bool start_array(size_t) override { return open('['); }
  bool end_array() override { return close(']'); }
  bool parse_error(size_t position, const std::string& token, const nlohmann::json::exception& error) override;

  bool other(std::string_view what);
  bool open(char bracket);
  bool close(char bracket);
  /// Whether the event belongs to a skipped value; `step` is what it does to the nesting.
  bool skipped(int step);

  std::string where_;
  bool skipping_ = false;
  size_t skipped_depth_ = 0;
};

}  // namespace nibble
