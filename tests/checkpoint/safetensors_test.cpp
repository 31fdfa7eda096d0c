#include <gmock/gmock.h>

#include "checkpoint/safetensors_writer.hpp"
#include "checkpoint/samples.hpp"

namespace nibble {

namespace {

using samples::fails;

class Safetensors : public ::testing::Test {
 protected:
  std::filesystem::path write(std::string_view header, std::string_view data = {}) const {
    return directory_.write("model.safetensors", samples::safetensors(header, data));
  }
  ::testing::AssertionResult refuses(std::string_view header, std::string_view data, std::vector<std::string> parts,
                                     ErrorKind kind = ErrorKind::corrupt) const {
    auto path = write(header, data);
    parts.push_back(path.string());
    return fails(kind, parts, [&] { open_safetensors(path); });
  }

  samples::Directory directory_;
};

struct TypeCase {
  const char* name;
  ElementType type;
  size_t bits;
};

class SafetensorsType : public ::testing::TestWithParam<TypeCase> {};

TEST_P(SafetensorsType, IsReadWithItsShapeAndBytes) {
  samples::Directory directory;
  std::string content(8 * GetParam().bits / 8, 'x');
  content.front() = 'a';
  auto header = std::string(R"({"w":{"dtype":")") + GetParam().name + R"(","shape":[2,4],"data_offsets":[0,)" +
                std::to_string(content.size()) + "]}}";
  auto weights = open_safetensors(directory.write("m.safetensors", samples::safetensors(header, content)));
  auto tensor = weights->get("w");
  EXPECT_EQ(tensor.type(), GetParam().type);
  EXPECT_EQ(tensor.shape(), (Shape{2, 4}));
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(tensor.data()), tensor.byte_size()), content);
}

INSTANTIATE_TEST_SUITE_P(All, SafetensorsType,
                         ::testing::Values(TypeCase{"F64", ElementType::f64, 64}, TypeCase{"F32", ElementType::f32, 32},
                                           TypeCase{"F16", ElementType::f16, 16}, TypeCase{"BF16", ElementType::bf16, 16},
                                           TypeCase{"F8_E4M3", ElementType::f8e4m3, 8}, TypeCase{"F8_E5M2", ElementType::f8e5m2, 8},
                                           TypeCase{"F8_E8M0", ElementType::f8e8m0, 8}, TypeCase{"F4", ElementType::f4e2m1, 4},
                                           TypeCase{"I64", ElementType::i64, 64}, TypeCase{"I32", ElementType::i32, 32},
                                           TypeCase{"I16", ElementType::i16, 16}, TypeCase{"I8", ElementType::i8, 8},
                                           TypeCase{"U64", ElementType::u64, 64}, TypeCase{"U32", ElementType::u32, 32},
                                           TypeCase{"U16", ElementType::u16, 16}, TypeCase{"U8", ElementType::u8, 8},
                                           TypeCase{"BOOL", ElementType::boolean, 8}),
                         [](const auto& test) { return std::string(test.param.name); });

TEST_F(Safetensors, ListsNamesSortedWithTypeShapeAndFile) {
  auto path =
      write(R"({"b":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"a":{"dtype":"I16","shape":[],"data_offsets":[2,4]}} )", "1234");
  auto weights = open_safetensors(path);
  EXPECT_EQ(weights->names(), (std::vector<std::string>{"a", "b"}));
  auto info = weights->info("a");
  EXPECT_EQ(info.type, ElementType::i16);
  EXPECT_EQ(info.shape, Shape{});
  EXPECT_EQ(info.file, path);
}

TEST_F(Safetensors, KeepsMetadata) {
  auto weights = open_safetensors(write(R"({"__metadata__":{"format":"pt","über":"\u00fc"}})"));
  EXPECT_EQ(weights->metadata(), (std::map<std::string, std::string>{{"format", "pt"}, {"über", "ü"}}));
}

TEST_F(Safetensors, TensorOutlivesItsSourceAndItsRelease) {
  auto weights = open_safetensors(samples::data("sharded_safetensors/model-00001-of-00002.safetensors"));
  auto tensor = weights->get("model.embed_tokens.weight");
  auto before = tensor.clone();
  weights->release("model.embed_tokens.weight", PageCache::drop);
  weights->release("no such tensor", PageCache::keep);
  weights.reset();
  EXPECT_TRUE(std::equal(before.bytes().begin(), before.bytes().end(), tensor.bytes().begin(), tensor.bytes().end()));
}

TEST_F(Safetensors, AcceptsTensorsWithoutElements) {
  auto weights = open_safetensors(write(R"({"e":{"dtype":"F32","shape":[0,9223372036854775807,4],"data_offsets":[0,0]}})"));
  EXPECT_EQ(weights->get("e").size(), 0u);
  EXPECT_FALSE(weights->contains("f"));
}

TEST_F(Safetensors, NamesTensorAndFileWhenThereIsNone) {
  auto path = write("{}");
  auto weights = open_safetensors(path);
  EXPECT_TRUE(fails(ErrorKind::not_found, {"'model.norm.weight'", path.string()}, [&] { weights->get("model.norm.weight"); }));
  EXPECT_TRUE(fails(ErrorKind::not_found, {"'model.norm.weight'", path.string()}, [&] { weights->info("model.norm.weight"); }));
}

TEST_F(Safetensors, RefusesTooShortFiles) {
  for (std::string_view content : {"", "1234567"}) {
    auto path = directory_.write("short.safetensors", content);
    EXPECT_TRUE(fails(ErrorKind::corrupt, {"short.safetensors", "too short"}, [&] { open_safetensors(path); }));
  }
}

TEST_F(Safetensors, RefusesHeaderLengthsBeyondLimitAndFile) {
  auto open = [&](uint64_t length) {
    auto path = directory_.write("h.safetensors", samples::little_endian(length, 8) + "{}");
    return [path] { open_safetensors(path); };
  };
  EXPECT_TRUE(fails(ErrorKind::corrupt, {"h.safetensors", "100000000"}, open(UINT64_MAX)));
  EXPECT_TRUE(fails(ErrorKind::corrupt, {"h.safetensors", "100000000"}, open(100'000'001)));
  EXPECT_TRUE(fails(ErrorKind::corrupt, {"h.safetensors", "only 2 are there"}, open(3)));
  EXPECT_TRUE(fails(ErrorKind::corrupt, {"h.safetensors", "'{'"}, open(0)));
}

TEST_F(Safetensors, RefusesGitLfsPointers) {
  auto path = directory_.write("l.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 7\n");
  EXPECT_TRUE(fails(ErrorKind::corrupt, {"l.safetensors", "git lfs pull"}, [&] { open_safetensors(path); }));
}

TEST_F(Safetensors, RefusesHeadersThatAreNotJson) {
  for (std::string_view header : {" {}", "[]", "{", "{}x", "{\"a\":}", "{\"\xff\":{}}", "{\"a\":{\"dtype\":\"\xed\xa0\x80\"}}"})
    EXPECT_TRUE(refuses(header, "", {})) << header;
  EXPECT_TRUE(refuses(std::string_view("{}\0junk", 7), "", {"zero byte"}));
}

TEST_F(Safetensors, RefusesDeepNestingWithoutRecursion) {
  EXPECT_TRUE(refuses("{\"a\":" + std::string(1'000'000, '['), "", {"'a'", "a list"}));
  EXPECT_TRUE(refuses("{\"a\":{\"shape\":" + std::string(1'000'000, '['), "", {"'a'", "a list"}));
}

TEST_F(Safetensors, RefusesNamesThatAppearTwice) {
  constexpr std::string_view kEntry = R"("w":{"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
  EXPECT_TRUE(refuses("{" + std::string(kEntry) + "," + std::string(kEntry) + "}", "", {"'w'", "twice"}));
  EXPECT_TRUE(refuses(R"({"__metadata__":{},"__metadata__":{}})", "", {"__metadata__", "twice"}));
  EXPECT_TRUE(refuses(R"({"__metadata__":{"k":"1","k":"2"}})", "", {"'k'", "twice"}));
}

TEST_F(Safetensors, RefusesMetadataThatIsNoText) {
  EXPECT_TRUE(refuses(R"({"__metadata__":{"k":1}})", "", {"__metadata__", "'k'"}));
  EXPECT_TRUE(refuses(R"({"__metadata__":{"k":{}}})", "", {"__metadata__", "'k'"}));
  EXPECT_TRUE(refuses(R"({"__metadata__":null})", "", {"__metadata__", "null"}));
}

TEST_F(Safetensors, RefusesUnknownTypes) {
  for (std::string type : {"F6_E2M3", "C64", "f32", "", "F8_E4M3FNUZ"})
    EXPECT_TRUE(refuses(R"({"w":{"dtype":")" + type + R"(","shape":[0],"data_offsets":[0,0]}})", "", {"'w'", "'" + type + "'"},
                        ErrorKind::unsupported));
}

TEST_F(Safetensors, RefusesIncompleteDescriptions) {
  for (std::string_view header :
       {R"({"w":{}})", R"({"w":{"dtype":"U8"}})", R"({"w":{"dtype":"U8","shape":[0]}})", R"({"w":{"dtype":"U8","data_offsets":[0,0]}})",
        R"({"w":{"shape":[0],"data_offsets":[0,0]}})", R"({"w":{"dtype":"U8","shape":[0],"data_offsets":[0]}})",
        R"({"w":{"dtype":"U8","shape":[0],"data_offsets":[0,0,0]}})",
        R"({"w":{"dtype":"U8","dtype":"U8","shape":[0],"data_offsets":[0,0]}})", R"({"w":{"dtype":"U8","shape":"0","data_offsets":[0,0]}})",
        R"({"w":{"dtype":["U8"],"shape":[0],"data_offsets":[0,0]}})", R"({"w":{"dtype":1,"shape":[0],"data_offsets":[0,0]}})",
        R"({"w":{"dtype":"U8","shape":["0"],"data_offsets":[0,0]}})", R"({"w":{"dtype":"U8","shape":{},"data_offsets":[0,0]}})",
        R"({"w":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"x":1}})", R"({"w":[]})", R"({"w":1})", R"({"w":"x"})", R"({"w":null})"})
    EXPECT_TRUE(refuses(header, "", {"'w'"})) << header;
}

TEST_F(Safetensors, RefusesDimensionsThatCannotBe) {
  auto header = [](std::string_view dims) { return R"({"w":{"dtype":"U8","shape":[)" + std::string(dims) + R"(],"data_offsets":[0,0]}})"; };
  EXPECT_TRUE(refuses(header("-1"), "", {"'w'", "negative"}));
  EXPECT_TRUE(refuses(header("1.5"), "", {"'w'"}));
  EXPECT_TRUE(refuses(header("18446744073709551616"), "", {"'w'"}));
  EXPECT_TRUE(refuses(header("9223372036854775808"), "", {"'w'", "9223372036854775808"}));
  EXPECT_TRUE(refuses(header("4294967296,4294967296"), "", {"'w'", "too many elements"}));
  std::string ones = "1";
  for (int i = 0; i < 64; ++i) ones += ",1";
  EXPECT_TRUE(refuses(header(ones), "", {"'w'", "dimensions"}));
}

TEST_F(Safetensors, RefusesSizesThatDoNotFitTypeAndShape) {
  EXPECT_TRUE(refuses(R"({"w":{"dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,0]}})", "", {"'w'"}));
  EXPECT_TRUE(refuses(R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,7]}})", "1234567", {"'w'", "takes 8 bytes", "say 7"}));
  EXPECT_TRUE(refuses(R"({"w":{"dtype":"F4","shape":[3],"data_offsets":[0,2]}})", "12", {"'w'", "odd"}));
  EXPECT_TRUE(refuses(R"({"w":{"dtype":"U8","shape":[1],"data_offsets":[1,0]}})", "1", {"'w'", "before it begins"}));
  EXPECT_TRUE(refuses(R"({"w":{"dtype":"U8","shape":[1],"data_offsets":[18446744073709551615,0]}})", "1", {"'w'"}));
}

TEST_F(Safetensors, RefusesOverlapsHolesAndTrailingBytes) {
  auto header = [](int begin, int end) {
    return R"({"v":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"w":{"dtype":"U8","shape":[2],"data_offsets":[)" +
           std::to_string(begin) + "," + std::to_string(end) + "]}}";
  };
  EXPECT_TRUE(refuses(header(1, 3), "123", {"'w'", "overlap"}));
  EXPECT_TRUE(refuses(header(0, 2), "12", {"'w'", "overlap"}));
  EXPECT_TRUE(refuses(header(3, 5), "12345", {"'w'", "no tensor"}));
  EXPECT_TRUE(refuses(header(2, 4), "12345", {"1 bytes follow"}));
  EXPECT_TRUE(refuses(header(2, 4), "123", {"holds 3 bytes", "describes 4", "incomplete"}));
}

TEST_F(Safetensors, ShowsHostileNamesShortAndWithoutControlCharacters) {
  std::string name = "\\u001b[31m" + std::string(100'000, 'n');
  try {
    open_safetensors(write("{\"" + name + "\":{}}"));
    FAIL() << "threw nothing";
  } catch (const Error& error) {
    EXPECT_LT(std::string(error.what()).size(), 600u);
    EXPECT_THAT(error.what(), ::testing::HasSubstr("'?[31mnnn"));
  }
}

TEST_F(Safetensors, WriterRoundTripsAndAlignsEveryTensor) {
  std::map<std::string, Tensor> tensors;
  tensors["bytes"] = Tensor::from<uint8_t>({3}, std::vector<uint8_t>{1, 2, 3});
  tensors["floats"] = Tensor::from<float>({2, 1}, std::vector<float>{1.5f, -2.0f});
  tensors["scalar"] = Tensor::scalar<int64_t>(-7);
  tensors["empty"] = Tensor(ElementType::bf16, {0, 2});
  auto path = directory_.path() / "out.safetensors";
  write_safetensors(path, tensors, {{"format", "pt"}});
  auto weights = open_safetensors(path);
  EXPECT_EQ(weights->metadata().at("format"), "pt");
  EXPECT_EQ(weights->names(), (std::vector<std::string>{"bytes", "empty", "floats", "scalar"}));
  EXPECT_THAT(weights->get("bytes").as<uint8_t>(), ::testing::ElementsAre(1, 2, 3));
  EXPECT_THAT(weights->get("floats").as<float>(), ::testing::ElementsAre(1.5f, -2.0f));
  EXPECT_THAT(weights->get("scalar").as<int64_t>(), ::testing::ElementsAre(-7));
  EXPECT_EQ(weights->info("empty").shape, (Shape{0, 2}));
}

TEST_F(Safetensors, WriterRefusesWhatTheFormatCannotHold) {
  auto path = directory_.path() / "out.safetensors";
  auto write_one = [&](const std::string& name, Tensor tensor) {
    return [path, name, tensor] { write_safetensors(path, {{name, tensor}}); };
  };
  EXPECT_TRUE(fails(ErrorKind::unsupported, {"'w'", "u4"}, write_one("w", Tensor(ElementType::u4, {2}))));
  EXPECT_TRUE(fails(ErrorKind::unsupported, {"'w'", "odd"}, write_one("w", Tensor(ElementType::f4e2m1, {3}))));
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"UTF-8"}, write_one("\xff", Tensor(ElementType::u8, {2}))));
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"__metadata__"}, write_one("__metadata__", Tensor(ElementType::u8, {2}))));
  EXPECT_FALSE(std::filesystem::exists(path));
}

}  // namespace

}  // namespace nibble
