#include "export/model_config.hpp"

#include "expect_error.hpp"
#include "scratch_directory.hpp"

namespace nibble {

using test::fails;

namespace {

using nlohmann::json;

ModelConfig config_of(const char* text) { return {json::parse(text), "config.json"}; }

TEST(ModelConfig, ReadsConfigJsonOfADirectory) {
  test::ScratchDirectory directory;
  test::write_text(directory / "config.json", R"({"hidden_size": 64})");
  ModelConfig config(directory.path());
  EXPECT_EQ(config.size("hidden_size", 1), 64);
  EXPECT_EQ(config.where(), (directory / "config.json").string());
}

TEST(ModelConfig, DirectoryWithoutConfigIsNotFound) {
  test::ScratchDirectory directory;
  EXPECT_TRUE(fails(ErrorKind::not_found, {directory.path().string(), "config.json"}, [&] { ModelConfig config(directory.path()); }));
}

TEST(ModelConfig, DirectoryThatDoesNotExistIsNotFound) {
  EXPECT_TRUE(fails(ErrorKind::not_found, {"/nonexistent/model"}, [] { ModelConfig config("/nonexistent/model"); }));
}

TEST(ModelConfig, WhatIsNoJsonObjectIsCorrupt) {
  test::ScratchDirectory directory;
  for (const char* text : {"", "{", "[1]", "3", "null", R"({"a": nan})", R"({"a": 1e999})", "{\"a\": \"\xff\"}"}) {
    test::write_text(directory / "config.json", text);
    EXPECT_TRUE(fails(ErrorKind::corrupt, {"config.json"}, [&] { ModelConfig config(directory.path()); })) << text;
  }
}

TEST(ModelConfig, DeepNestingIsAnError) {
  test::ScratchDirectory directory;
  std::string depth(1000000, '[');
  test::write_text(directory / "config.json", R"({"hidden_size": )" + depth + std::string(depth.size(), ']') + "}");
  EXPECT_TRUE(fails(ErrorKind::corrupt, {"config.json"}, [&] { ModelConfig(directory.path()).size("hidden_size", 1); }));
}

TEST(ModelConfig, AbsentAndNullTakeTheDefault) {
  ModelConfig config = config_of(R"({"null": null})");
  for (const char* key : {"null", "absent"}) {
    EXPECT_FALSE(config.has(key));
    EXPECT_EQ(config.size(key, 7), 7);
    EXPECT_EQ(config.optional_size(key), std::nullopt);
    EXPECT_EQ(config.number(key, 0.5), 0.5);
    EXPECT_TRUE(config.flag(key, true));
    EXPECT_EQ(config.text(key, "silu"), "silu");
    EXPECT_TRUE(config.numbers(key).empty());
    EXPECT_TRUE(config.texts(key).empty());
    EXPECT_TRUE(config.object(key).json().empty());
  }
}

TEST(ModelConfig, ReadsValuesOfTheirTypes) {
  ModelConfig config = config_of(R"({"n": 2147483648, "x": 1e-6, "i": 3, "b": false, "s": "gelu", "v": [1, 2.5], "t": ["a", "b"],
                                     "o": {"inner": 4}})");
  EXPECT_EQ(config.size("n", 1), int64_t{1} << 31);
  EXPECT_EQ(config.number("x", 0), 1e-6);
  EXPECT_EQ(config.number("i", 0), 3.0);
  EXPECT_FALSE(config.flag("b", true));
  EXPECT_EQ(config.text("s", ""), "gelu");
  EXPECT_EQ(config.numbers("v"), (std::vector<double>{1, 2.5}));
  EXPECT_EQ(config.texts("t"), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(config.object("o").size("inner", 1), 4);
}

TEST(ModelConfig, SizesAreWholePositiveAndBounded) {
  for (const char* value : {"0", "-1", "64.0", "1.5", "\"64\"", "true", "[64]", "{}", "2147483649", "18446744073709551615", "1e30"}) {
    json object{{"hidden_size", json::parse(value)}};
    EXPECT_TRUE(fails(ErrorKind::corrupt, {"config.json", "hidden_size", "positive whole number"}, [&] {
      ModelConfig(object, "config.json").size("hidden_size", 1);
    })) << value;
  }
}

TEST(ModelConfig, WrongTypesNameKeyAndValue) {
  ModelConfig config = config_of(R"({"key": {"deep": "value"}, "list": [1, "two", null], "text": "yes", "number": 1})");
  auto rejects = [&](const char* key, const char* shown, auto read) {
    return fails(ErrorKind::corrupt, {"config.json", key, shown}, [&] { read(config, key); });
  };
  EXPECT_TRUE(rejects("key", "deep", [](const auto& c, const char* k) { c.number(k, 0); }));
  EXPECT_TRUE(rejects("text", "yes", [](const auto& c, const char* k) { c.number(k, 0); }));
  EXPECT_TRUE(rejects("text", "yes", [](const auto& c, const char* k) { c.flag(k, true); }));
  EXPECT_TRUE(rejects("number", "1", [](const auto& c, const char* k) { c.flag(k, true); }));
  EXPECT_TRUE(rejects("number", "1", [](const auto& c, const char* k) { c.text(k, ""); }));
  EXPECT_TRUE(rejects("list", "two", [](const auto& c, const char* k) { c.numbers(k); }));
  EXPECT_TRUE(rejects("list", "two", [](const auto& c, const char* k) { c.texts(k); }));
  EXPECT_TRUE(rejects("number", "1", [](const auto& c, const char* k) { c.numbers(k); }));
  EXPECT_TRUE(rejects("list", "two", [](const auto& c, const char* k) { c.object(k); }));
}

TEST(ModelConfig, ErrorsInsideAnObjectNameItsPath) {
  ModelConfig scaling = config_of(R"({"rope_scaling": {"factor": "big"}})").object("rope_scaling");
  EXPECT_TRUE(fails(ErrorKind::corrupt, {"config.json", "rope_scaling", "factor", "big"}, [&] { scaling.number("factor", 1); }));
}

TEST(ModelConfig, HugeWrongValuesAreNotShownWhole) {
  ModelConfig config(json{{"hidden_size", std::string(100000, 'x')}}, "config.json");
  try {
    config.size("hidden_size", 1);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_LT(std::string(error.what()).size(), 300u);
  }
}

TEST(ModelConfig, ModelTypeComesFromArchitecturesWhereItIsMissing) {
  EXPECT_EQ(config_of(R"({"model_type": "qwen2", "architectures": ["LlamaForCausalLM"]})").model_type(), "qwen2");
  EXPECT_EQ(config_of(R"({"architectures": ["LlamaForCausalLM"]})").model_type(), "llama");
}

TEST(ModelConfig, ModelTypeMustBeSaidSomehow) {
  EXPECT_TRUE(fails(ErrorKind::corrupt, {"model_type", "architectures"}, [] { config_of("{}").model_type(); }));
}

}  // namespace
}  // namespace nibble
