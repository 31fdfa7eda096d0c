#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace nibble {

/// What went wrong, as far as a program can act on it.
enum class ErrorKind {
  invalid_argument,  ///< the caller passed something that cannot be meant
  not_found,         ///< a file, tensor, node or device does not exist
  unsupported,       ///< well-formed, but Nibble cannot do it
  corrupt,           ///< the input contradicts its own format
  exhausted,         ///< memory, disk or another limit is used up
  device,            ///< a device or the runtime behind it failed
  cancelled,         ///< the user or a callback asked to stop
};

std::string_view to_string(ErrorKind kind);

/// The one exception the library throws. The message says what, where (file, tensor, node, JSON pointer) and what to do.
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  ErrorKind kind() const noexcept { return kind_; }

 private:
  ErrorKind kind_;
};

}  // namespace nibble
