#pragma once

#include <fmt/format.h>

#include <utility>

#include "nibble/error.hpp"

namespace nibble {

/// Throws Error with a formatted message.
template <class... Args>
[[noreturn]] void fail(ErrorKind kind, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(kind, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace nibble
