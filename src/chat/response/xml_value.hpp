#pragma once

#include <string>
#include <string_view>

#include "chat/response/tool_schemas.hpp"

namespace nibble {

/// Turns an argument that is written without quotes into JSON, by the types that its schema allows. A text is written as it comes;
/// what may be something else only at its end. One thread at a time.
class XmlValue {
 public:
  XmlValue(ParameterTypes types, bool line_ends) : types_(types), skip_line_end_(line_ends), line_ends_(line_ends) {}

  void push(std::string_view text, std::string& json);
  void finish(std::string& json);
  /// Nothing but white space so far.
  bool blank() const { return blank_; }

 private:
  static constexpr size_t kMaxHeld = size_t{1} << 20;

  bool is_text(char first) const;
  void write_text(std::string_view text, std::string& json);
  std::string converted(std::string_view value) const;

  ParameterTypes types_;
  bool skip_line_end_, line_ends_;
  bool blank_ = true, writes_text_ = false;
  std::string held_;  ///< of a text: its last line end; otherwise the value
};

}  // namespace nibble
