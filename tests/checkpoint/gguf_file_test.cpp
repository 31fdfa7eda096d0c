// The structure of GGUF files: what is read, and what is refused with which words.
#include <gtest/gtest.h>

#include "checkpoint/gguf/gguf_model.hpp"
#include "checkpoint/gguf_builder.hpp"
#include "checkpoint/samples.hpp"
#include "tensor/convert.hpp"

namespace nibble {

namespace {

using samples::fails;
using samples::little_endian;
using Builder = samples::GgufBuilder;

std::string floats(std::initializer_list<float> values) {
  std::string bytes;
  for (float value : values) bytes += Builder::number(value);
  return bytes;
}

class GgufFiles : public ::testing::Test {
 protected:
  GgufFile open(const std::string& bytes) const { return open_gguf_file(directory.write("model.gguf", bytes)); }
  ::testing::AssertionResult refused(ErrorKind kind, const std::vector<std::string>& parts, const std::string& bytes) const {
    return fails(kind, parts, [&] { open(bytes); });
  }
  samples::Directory directory;
};

}  // namespace

TEST_F(GgufFiles, HasMetadataOfEveryType) {
  Builder builder;
  for (uint32_t type : {0u, 1u, 2u, 3u, 4u, 5u, 10u, 11u})
    builder.value("whole." + std::to_string(type), type, little_endian(7, type < 2 ? 1 : type < 4 ? 2 : type < 6 ? 4 : 8));
  builder.value("negative", 5, little_endian(0xfffffffe, 4)).value("double", 12, little_endian(0x3ff8000000000000, 8));
  builder.set("float", 1e-5f).set("flag", true).set("text", "words").set("texts", std::vector<std::string>{"a", ""});
  builder.set("numbers", std::vector<uint32_t>{3, 4}).value("flags", 9, little_endian(7, 4) + little_endian(2, 8) + std::string("\1\0", 2));
  GgufMetadata metadata = open(builder.bytes()).metadata;
  for (const char* type : {"0", "1", "2", "3", "4", "5", "10", "11"}) EXPECT_EQ(metadata.integer("whole." + std::string(type)), 7) << type;
  EXPECT_EQ(metadata.integer("negative"), -2);
  EXPECT_EQ(metadata.number("double"), 1.5);
  EXPECT_EQ(metadata.number("float"), 1e-5);
  EXPECT_EQ(metadata.number("whole.4"), 7);
  EXPECT_EQ(metadata.flag("flag"), true);
  EXPECT_EQ(metadata.text("text"), "words");
  EXPECT_EQ(metadata.texts("texts"), (std::vector<std::string_view>{"a", ""}));
  EXPECT_EQ(metadata.integers("numbers"), (std::vector<int64_t>{3, 4}));
  EXPECT_EQ(metadata.flags("flags"), (std::vector<bool>{true, false}));
  EXPECT_FALSE(metadata.integer("absent"));
}

TEST_F(GgufFiles, ReadsVersion2) { EXPECT_EQ(open(Builder().set("a", 1u).bytes(2)).metadata.integer("a"), 1); }

TEST_F(GgufFiles, TensorsAreViewsWithTheLastDimensionDense) {
  auto path = directory.write("model.gguf", Builder()
                                                .tensor("b", {2, 3}, Builder::kTypeF32, floats({1, 2, 3, 4, 5, 6}))
                                                .tensor("a", {1}, Builder::kTypeF32, floats({9}))
                                                .bytes());
  auto weights = open_gguf(path);
  EXPECT_EQ(weights->names(), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(weights->info("b").shape, (Shape{2, 3}));
  EXPECT_EQ(to_floats(weights->get("b")), (std::vector<float>{1, 2, 3, 4, 5, 6}));
  EXPECT_TRUE(fails(ErrorKind::not_found, {"'c'"}, [&] { weights->get("c"); }));
}

TEST_F(GgufFiles, HonoursAlignment) {
  Builder builder;
  builder.set("general.alignment", 64u).describe("a", {1}, Builder::kTypeF32, 64);
  std::string bytes = builder.bytes();
  bytes.resize((bytes.size() + 63) / 64 * 64 + 64);
  bytes += floats({5});
  auto weights = open_gguf(directory.write("model.gguf", bytes));
  EXPECT_EQ(to_floats(weights->get("a")), (std::vector<float>{5}));
}

TEST_F(GgufFiles, OtherFilesAreRefused) {
  EXPECT_TRUE(refused(ErrorKind::corrupt, {"not a GGUF file"}, Builder().bytes(3, "GGML")));
  EXPECT_TRUE(refused(ErrorKind::corrupt, {"not a GGUF file"}, "GGUF"));
  EXPECT_TRUE(refused(ErrorKind::unsupported, {"version 1"}, Builder().bytes(1)));
  EXPECT_TRUE(refused(ErrorKind::unsupported, {"version 4"}, Builder().bytes(4)));
  EXPECT_TRUE(refused(ErrorKind::unsupported, {"big-endian"}, Builder().bytes(0x03000000)));
  EXPECT_TRUE(refused(ErrorKind::corrupt, {"Git LFS"}, "version https://git-lfs.github.com/spec/v1\n"));
}

TEST_F(GgufFiles, CountsBeyondTheFileAreRefused) {
  std::string huge = little_endian(UINT64_MAX, 8), header = "GGUF" + little_endian(3, 4);
  EXPECT_TRUE(refused(ErrorKind::corrupt, {"tensors"}, header + huge + little_endian(0, 8)));
  EXPECT_TRUE(refused(ErrorKind::corrupt, {"metadata"}, header + little_endian(0, 8) + huge));
  EXPECT_TRUE(refused(ErrorKind::corrupt, {"longer than the file"}, Builder().value("a", 9, little_endian(10, 4) + huge).bytes()));
  EXPECT_TRUE(refused(ErrorKind::corrupt, {"wanted"}, Builder().value("a", 8, huge).bytes()));
  EXPECT_TRUE(refused(ErrorKind::corrupt, {"wanted"}, Builder().value("a", 9, little_endian(8, 4) + huge).bytes()));
}

TEST_F(GgufFiles, ArraysNestABit) {
  auto nested = [](int depth) {
    std::string bytes = little_endian(4, 4) + little_endian(1, 8) + little_endian(5, 4);
    for (int i = 0; i < depth; ++i) bytes = little_endian(9, 4) + little_endian(1, 8) + bytes;
    return Builder().value("a", 9, bytes).bytes();
  };
  EXPECT_TRUE(open(nested(2)).metadata.has("a"));
  EXPECT_TRUE(refused(ErrorKind::corrupt, {"nests arrays"}, nested(4)));
  EXPECT_TRUE(refused(ErrorKind::corrupt, {"nests arrays"}, nested(1000)));
}

TEST_F(GgufFiles, WrongMetadataIsRefused) {
  EXPECT_TRUE(refused(ErrorKind::corrupt, {"'a'", "twice"}, Builder().set("a", 1u).set("a", 2u).bytes()));
  EXPECT_TRUE(refused(ErrorKind::corrupt, {"type 13"}, Builder().value("a", 13, "12345678").bytes()));
  EXPECT_TRUE(refused(ErrorKind::corrupt, {"boolean", "2"}, Builder().value("a", 7, "\2").bytes()));
  EXPECT_TRUE(refused(ErrorKind::corrupt, {"UTF-8"}, Builder().set("\xff", 1u).bytes()));
  EXPECT_TRUE(refused(ErrorKind::corrupt, {"general.alignment", "24"}, Builder().set("general.alignment", 24u).bytes()));
}

TEST_F(GgufFiles, ValuesOfAnotherTypeThanExpectedAreNamed) {
  GgufMetadata metadata = open(Builder().set("a", "x").set("b", 1u).set("c", std::vector<uint32_t>{1}).bytes()).metadata;
  EXPECT_TRUE(fails(ErrorKind::corrupt, {"'a'", "whole number", "a text"}, [&] { metadata.integer("a"); }));
  EXPECT_TRUE(fails(ErrorKind::corrupt, {"'b'", "a text", "a whole number"}, [&] { metadata.text("b"); }));
  EXPECT_TRUE(fails(ErrorKind::corrupt, {"'b'", "list of texts"}, [&] { metadata.texts("b"); }));
  EXPECT_TRUE(fails(ErrorKind::corrupt, {"'c'", "a boolean", "a list of whole numbers"}, [&] { metadata.flag("c"); }));
}

TEST_F(GgufFiles, TensorsThatDoNotFitAreRefused) {
  auto with = [](const Shape& shape, uint32_t type, uint64_t offset) {
    return Builder().describe("t", shape, type, offset).bytes() + std::string(64, '\0');
  };
  EXPECT_TRUE(refused(ErrorKind::corrupt, {"'t'", "incomplete"}, with({17}, Builder::kTypeF32, 0)));
  EXPECT_TRUE(refused(ErrorKind::corrupt, {"'t'", "incomplete"}, with({1}, Builder::kTypeF32, 96)));
  EXPECT_TRUE(refused(ErrorKind::corrupt, {"'t'", "incomplete"}, with({1}, Builder::kTypeF32, UINT64_MAX - 31)));
  EXPECT_TRUE(refused(ErrorKind::corrupt, {"'t'", "multiple of 32"}, with({1}, Builder::kTypeF32, 4)));
  EXPECT_TRUE(refused(ErrorKind::corrupt, {"'t'", "Q4_0", "blocks have 32"}, with({33}, Builder::kTypeQ4_0, 0)));
  EXPECT_TRUE(refused(ErrorKind::corrupt, {"'t'", "shape"}, with({int64_t{1} << 40, int64_t{1} << 40}, Builder::kTypeF32, 0)));
  EXPECT_TRUE(refused(ErrorKind::corrupt, {"'t'", "dimension"}, with({-1}, Builder::kTypeF32, 0)));
  EXPECT_TRUE(refused(ErrorKind::corrupt, {"'t'", "dimension of 0"}, with({0, int64_t{1} << 40}, Builder::kTypeF32, 0)));
  EXPECT_TRUE(refused(ErrorKind::corrupt, {"'t'", "5 dimensions"}, with({1, 1, 1, 1, 1}, Builder::kTypeF32, 0)));
  EXPECT_TRUE(refused(ErrorKind::unsupported, {"'t'", "type number 4"}, with({1}, 4, 0)));
}

TEST_F(GgufFiles, TensorsMayOverlapButNotShareAName) {
  std::string overlapping =
      Builder().describe("a", {2}, Builder::kTypeF32, 0).describe("b", {1}, Builder::kTypeF32, 0).bytes() + floats({1, 2});
  EXPECT_EQ(open(overlapping).tensors.size(), 2u);
  EXPECT_TRUE(
      refused(ErrorKind::corrupt, {"'a'", "twice"}, Builder().tensor("a", {1}, 0, floats({1})).tensor("a", {1}, 0, floats({1})).bytes()));
}

TEST_F(GgufFiles, SplitModelsAreReadTogether) {
  auto part = [](uint32_t number, const char* tensor, float value) {
    return Builder()
        .set("split.no", number)
        .set("split.count", 2u)
        .set("split.tensors.count", 2u)
        .tensor(tensor, {1}, 0, floats({value}))
        .bytes();
  };
  directory.write("m-00001-of-00002.gguf", part(0, "a", 1));
  auto second = directory.write("m-00002-of-00002.gguf", part(1, "b", 2));
  EXPECT_EQ(open_gguf(second)->names(), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(find_gguf(directory.path()), directory.path() / "m-00001-of-00002.gguf");
  EXPECT_EQ(to_floats(open_checkpoint(directory.path())->get("b")), (std::vector<float>{2}));

  directory.write("m-00001-of-00002.gguf", part(0, "b", 1));
  EXPECT_TRUE(fails(ErrorKind::corrupt, {"'b'", "another part"}, [&] { open_gguf(second); }));
  directory.write("m-00001-of-00002.gguf", part(1, "a", 1));
  EXPECT_TRUE(fails(ErrorKind::corrupt, {"says it is part 2 of 2"}, [&] { open_gguf(second); }));
  std::filesystem::remove(directory.path() / "m-00001-of-00002.gguf");
  EXPECT_TRUE(fails(ErrorKind::not_found, {"m-00001-of-00002.gguf", "missing"}, [&] { open_gguf(second); }));
  auto renamed = directory.write("other.gguf", part(1, "a", 1));
  EXPECT_TRUE(fails(ErrorKind::not_found, {"one of 2 parts"}, [&] { open_gguf(renamed); }));
}

TEST_F(GgufFiles, AreFoundByEndingBytesOrDirectory) {
  auto unnamed = directory.write("sha256-1234", Builder().bytes());
  EXPECT_EQ(find_gguf(unnamed), unnamed);
  EXPECT_FALSE(find_gguf(directory.write("config.json", "{}")));
  EXPECT_FALSE(find_gguf(directory.path()));
  auto model = directory.write("model.gguf", Builder().bytes());
  directory.write("mmproj-model.gguf", Builder().bytes());
  EXPECT_EQ(find_gguf(directory.path()), model);
  EXPECT_EQ(gguf_directory(model), directory.path());
  directory.write("second.gguf", Builder().bytes());
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"2 GGUF files", "model.gguf"}, [&] { find_gguf(directory.path()); }));
  EXPECT_FALSE(gguf_directory(model));
  directory.write("model.safetensors", samples::safetensors("{}"));
  EXPECT_FALSE(find_gguf(directory.path()));
}

}  // namespace nibble
