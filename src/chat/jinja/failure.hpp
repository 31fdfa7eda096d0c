#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace nibble::jinja {

/// The exception that Python's Jinja would raise. `limit` is ours: the template asked for more than a rendering may use.
enum class Fault {
  template_error,
  template_syntax_error,
  template_assertion_error,
  template_runtime_error,
  undefined_error,
  attribute_error,
  security_error,
  filter_argument_error,
  type_error,
  value_error,
  index_error,
  key_error,
  zero_division_error,
  overflow_error,
  syntax_error,
  recursion_error,
  limit,
};

/// The name of the Python exception class.
std::string_view to_string(Fault fault);

/// What a template did wrong. Thrown inside the engine only; the public interface turns it into nibble::Error.
class Failure : public std::runtime_error {
 public:
  Failure(Fault fault, const std::string& message, int line = 0) : std::runtime_error(message), fault_(fault), line_(line) {}
  Fault fault() const { return fault_; }
  /// Line of the template, from 1; 0 = not known yet.
  int line() const { return line_; }
  void set_line(int line) { line_ = line; }

 private:
  Fault fault_;
  int line_;
};

/// Throws Failure with a formatted message.
template <class... Args>
[[noreturn]] void refuse(Fault fault, fmt::format_string<Args...> format, Args&&... args) {
  throw Failure(fault, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace nibble::jinja
