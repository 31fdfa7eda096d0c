#include "nibble/error.hpp"

namespace nibble {

std::string_view to_string(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::invalid_argument: return "invalid argument";
    case ErrorKind::not_found: return "not found";
    case ErrorKind::unsupported: return "unsupported";
    case ErrorKind::corrupt: return "corrupt";
    case ErrorKind::exhausted: return "exhausted";
    case ErrorKind::device: return "device";
    case ErrorKind::cancelled: return "cancelled";
  }
  return "unknown";
}

}  // namespace nibble
