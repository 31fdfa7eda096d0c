#pragma once

#include <ctime>

namespace nibble {

/// 2026-03-05T14:07:09, the time at which all references were made.
inline std::tm reference_time() {
  std::tm time{};
  time.tm_year = 126;
  time.tm_mon = 2;
  time.tm_mday = 5;
  time.tm_hour = 14;
  time.tm_min = 7;
  time.tm_sec = 9;
  return time;
}

}  // namespace nibble
