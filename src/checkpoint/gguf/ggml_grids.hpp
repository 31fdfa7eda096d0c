#pragma once

#include <array>
#include <cstdint>

namespace nibble {

// The points that ggml's IQ types choose from, as the format defines them. A point of eight numbers is one entry: number k is its bits
// [2k, 2k + 2), which stand for 8, 25, 43 (IQ2) or -1, 0, 1 (IQ1). A point of four numbers (IQ3) has number k in its bits [4k, 4k + 3).

extern const std::array<uint16_t, 256> kIq2XxsGrid;
extern const std::array<uint16_t, 512> kIq2XsGrid;
extern const std::array<uint16_t, 1024> kIq2SGrid;
extern const std::array<uint16_t, 256> kIq3XxsGrid;
extern const std::array<uint16_t, 512> kIq3SGrid;
extern const std::array<uint16_t, 2048> kIq1SGrid;

}  // namespace nibble
