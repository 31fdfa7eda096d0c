#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "nibble/error.hpp"

namespace nibble::test {

/// Whether `action` throws an Error of this kind whose message holds all the parts.
inline ::testing::AssertionResult fails(ErrorKind kind, const std::vector<std::string>& parts, const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    std::string message = error.what();
    if (error.kind() != kind) return ::testing::AssertionFailure() << "error of kind " << to_string(error.kind()) << ": " << message;
    for (const auto& part : parts)
      if (message.find(part) == std::string::npos) return ::testing::AssertionFailure() << "no \"" << part << "\" in: " << message;
    return ::testing::AssertionSuccess();
  } catch (const std::exception& error) {
    return ::testing::AssertionFailure() << "not a nibble::Error: " << error.what();
  }
  return ::testing::AssertionFailure() << "no error";
}

}  // namespace nibble::test
