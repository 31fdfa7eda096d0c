#include "base/hash.hpp"

#include <gtest/gtest.h>

namespace nibble {
namespace {

TEST(Hash, OfNothingIsTheOneOfTheXxHashSpecification) {
  EXPECT_EQ(hash64({}), 0x2d06800538d394c2u);
  EXPECT_EQ(to_hex(hash128({})), "99aa06d3014798d86001c324468d497f");
}

TEST(Hash, HexComesBack) {
  Hash128 hash{0x0123456789abcdef, 0x00000000000000ff};
  EXPECT_EQ(to_hex(hash), "0123456789abcdef00000000000000ff");
  EXPECT_EQ(parse_hash128(to_hex(hash)), hash);
}

TEST(Hash, OtherTextIsNoHash) {
  for (const char* text : {"", "0", "0123456789abcdef00000000000000f", "0123456789abcdef00000000000000fff",
                           "0123456789ABCDEF00000000000000ff", "0123456789abcdeg00000000000000ff", "-123456789abcdef00000000000000ff"})
    EXPECT_EQ(parse_hash128(text), std::nullopt) << text;
}

}  // namespace
}  // namespace nibble
