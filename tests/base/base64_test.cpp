#include "base/base64.hpp"

#include <gmock/gmock.h>

#include "expect_error.hpp"

namespace nibble {
namespace {

/// RFC 4648, section 10.
TEST(Base64, AgreesWithTheRfc) {
  for (auto [bytes, text] : {std::pair{"", ""},
                             {"f", "Zg=="},
                             {"fo", "Zm8="},
                             {"foo", "Zm9v"},
                             {"foob", "Zm9vYg=="},
                             {"fooba", "Zm9vYmE="},
                             {"foobar", "Zm9vYmFy"}}) {
    EXPECT_EQ(encode_base64(bytes), text);
    EXPECT_EQ(decode_base64(text, "text"), bytes);
  }
}

TEST(Base64, EveryByteComesBack) {
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
  EXPECT_EQ(encode_base64("\xFB\xFF"), "+/8=");
  EXPECT_EQ(decode_base64(encode_base64(bytes), "bytes"), bytes);
}

TEST(Base64, OtherCharactersAreErrors) {
  for (const char* text : {"Zm9v!", "Zm 9v", "Zg==Zg", "\xC3\xA9"})
    EXPECT_TRUE(test::fails(ErrorKind::corrupt, {"somewhere", "base64"}, [&] { decode_base64(text, "somewhere"); })) << text;
}

}  // namespace
}  // namespace nibble
