#include "nibble/generation_config.hpp"

#include <gmock/gmock.h>

#include <cmath>
#include <functional>

#include "expect_error.hpp"
#include "scratch_directory.hpp"

namespace nibble {

using test::fails;
using testing::ElementsAre;
using testing::IsEmpty;

namespace {

/// A config that is valid: it ends.
GenerationConfig valid() {
  GenerationConfig config;
  config.max_new_tokens = 10;
  return config;
}

struct Invalid {
  const char* name;
  std::vector<std::string> message;
  std::function<void(GenerationConfig&)> change;
};

class InvalidConfig : public testing::TestWithParam<Invalid> {};

GenerationConfig fields(std::string_view json) { return with_json_fields({}, json); }

class ModelDirectory : public testing::Test {
 protected:
  GenerationConfig load(std::string_view generation_config, std::string_view config = {}) {
    if (!generation_config.empty()) test::write_text(directory_ / "generation_config.json", generation_config);
    if (!config.empty()) test::write_text(directory_ / "config.json", config);
    return load_generation_config(directory_.path());
  }
  test::ScratchDirectory directory_;
};

}  // namespace

TEST_P(InvalidConfig, IsRejectedWithFieldValueAndRange) {
  GenerationConfig config = valid();
  GetParam().change(config);
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, GetParam().message, [&] { config.validate(); }));
}

using C = GenerationConfig;
INSTANTIATE_TEST_SUITE_P(
    GenerationConfig, InvalidConfig,
    testing::Values(Invalid{"max_new_tokens", {"max_new_tokens is 0", "at least 1"}, [](C& c) { c.max_new_tokens = 0; }},
                    Invalid{"min_new_tokens", {"min_new_tokens is 11", "max_new_tokens"}, [](C& c) { c.min_new_tokens = 11; }},
                    Invalid{"endless_ignore_eos",
                            {"ignore_eos is true", "max_new_tokens or max_length"},
                            [](C& c) { c.max_new_tokens = C::kUnlimited, c.ignore_eos = true, c.eos_token_ids = {1}; }},
                    Invalid{"endless", {"max_new_tokens", "end-of-sequence"}, [](C& c) { c.max_new_tokens = C::kUnlimited; }},
                    Invalid{"repetition_penalty", {"repetition_penalty is 0", "positive"}, [](C& c) { c.repetition_penalty = 0; }},
                    Invalid{"repetition_penalty_nan", {"repetition_penalty is nan"}, [](C& c) { c.repetition_penalty = NAN; }},
                    Invalid{"presence_penalty", {"presence_penalty is 2.5", "between -2 and 2"}, [](C& c) { c.presence_penalty = 2.5f; }},
                    Invalid{"frequency_penalty", {"frequency_penalty is -3", "between -2 and 2"}, [](C& c) { c.frequency_penalty = -3; }},
                    Invalid{"no_sequences", {"num_return_sequences is 0", "at least 1"}, [](C& c) { c.num_return_sequences = 0; }},
                    Invalid{"greedy_sequences", {"num_return_sequences is 2", "do_sample"}, [](C& c) { c.num_return_sequences = 2; }},
                    Invalid{"temperature", {"temperature is 0", "positive"}, [](C& c) { c.do_sample = true, c.temperature = 0; }},
                    Invalid{"top_p_zero", {"top_p is 0", "above 0 and at most 1"}, [](C& c) { c.do_sample = true, c.top_p = 0; }},
                    Invalid{"top_p_above_one", {"top_p is 1.5"}, [](C& c) { c.do_sample = true, c.top_p = 1.5f; }},
                    Invalid{"min_p", {"min_p is 1", "at least 0 and below 1"}, [](C& c) { c.do_sample = true, c.min_p = 1; }}),
    [](const auto& instance) { return instance.param.name; });

TEST(GenerationConfig, EachWayToEndIsEnough) {
  EXPECT_NO_THROW(valid().validate());
  C config;
  config.eos_token_ids = {1};
  EXPECT_NO_THROW(config.validate());
  config = C();
  config.stop_token_ids = {1};
  EXPECT_NO_THROW(config.validate());
  config = C();
  config.stop_strings = {"\n"};
  EXPECT_NO_THROW(config.validate());
  config = C();
  config.max_length = 5;
  EXPECT_NO_THROW(config.validate());
}

TEST(GenerationConfig, NoTokensAreFineWithEcho) {
  C config = valid();
  config.max_new_tokens = 0;
  config.echo = true;
  EXPECT_NO_THROW(config.validate());
}

TEST(GenerationConfig, SamplingFieldsDoNotMatterWhenGreedy) {
  C config = valid();
  config.temperature = 0;
  config.top_p = 0;
  EXPECT_NO_THROW(config.validate());
}

TEST_F(ModelDirectory, WithoutFilesGivesDefaults) {
  C config = load_generation_config(directory_.path());
  EXPECT_THAT(config.eos_token_ids, IsEmpty());
  EXPECT_EQ(config.max_new_tokens, C::kUnlimited);
  EXPECT_FALSE(config.do_sample);
}

TEST_F(ModelDirectory, EndTokenMayBeANumberOrAList) {
  EXPECT_THAT(load(R"({"eos_token_id": 2})").eos_token_ids, ElementsAre(2));
  EXPECT_THAT(load(R"({"eos_token_id": [4, 2]})").eos_token_ids, ElementsAre(2, 4));
}

TEST_F(ModelDirectory, KnownFieldsCountAndForeignOnesAreIgnored) {
  C config = load(R"({"do_sample": true, "temperature": 0.6, "top_k": 20, "top_p": 0.95, "transformers_version": "4.57.6",
                      "cache_implementation": {"a": [1]}, "max_new_tokens": 64})");
  EXPECT_TRUE(config.do_sample);
  EXPECT_FLOAT_EQ(config.temperature, 0.6f);
  EXPECT_EQ(config.top_k, 20u);
  EXPECT_FLOAT_EQ(config.top_p, 0.95f);
  EXPECT_EQ(config.max_new_tokens, 64u);
}

TEST_F(ModelDirectory, NullsCountAsMissing) {
  C config = load(R"({"eos_token_id": null, "temperature": null, "top_k": null})");
  EXPECT_EQ(config.temperature, 1.0f);
  EXPECT_THAT(config.eos_token_ids, IsEmpty());
}

TEST_F(ModelDirectory, EndTokensComeFromConfigJsonWhereMissing) {
  EXPECT_THAT(load("", R"({"eos_token_id": [7, 8], "temperature": 5})").eos_token_ids, ElementsAre(7, 8));
  C config = load(R"({"temperature": 0.5})", R"({"eos_token_id": 9, "max_length": 5})");
  EXPECT_THAT(config.eos_token_ids, ElementsAre(9));
  EXPECT_FLOAT_EQ(config.temperature, 0.5f);
  EXPECT_EQ(config.max_length, C::kUnlimited) << "config.json gives end tokens only";
}

TEST_F(ModelDirectory, GenerationConfigGoesBeforeConfigJson) {
  EXPECT_THAT(load(R"({"eos_token_id": 1})", R"({"eos_token_id": 2})").eos_token_ids, ElementsAre(1));
}

TEST_F(ModelDirectory, BrokenFilesAreNamed) {
  for (const char* text : {"{\"eos_token_id\": ", "[1, 2]", "{\"temperature\": \"hot\"}", "{\"eos_token_id\": [1, \"two\"]}"})
    EXPECT_TRUE(fails(ErrorKind::corrupt, {"generation_config.json"}, [&] { load(text); })) << text;
}

TEST_F(ModelDirectory, DeeplyNestedFilesAreRejected) {
  std::string deep = "{\"eos_token_id\": " + std::string(1 << 20, '[') + std::string(1 << 20, ']') + "}";
  EXPECT_TRUE(fails(ErrorKind::corrupt, {"generation_config.json"}, [&] { load(deep); }));
}

TEST(JsonFields, SetWhatTheyName) {
  C config = fields(R"({"max_new_tokens": 20, "max_length": 30, "min_new_tokens": 2, "ignore_eos": true, "echo": true, "eos_token_id": 3,
      "stop_token_ids": [5, 4], "stop_strings": ["a", "b"], "include_stop_str_in_output": true, "do_sample": true, "temperature": 0.5,
      "top_k": 5, "top_p": 0.25, "min_p": 0.125, "rng_seed": 9, "num_return_sequences": 3, "repetition_penalty": 1.5,
      "presence_penalty": -1, "frequency_penalty": 2, "logprobs": 1, "apply_chat_template": false,
      "skip_special_tokens": false})");
  EXPECT_EQ(config.max_new_tokens, 20u);
  EXPECT_EQ(config.max_length, 30u);
  EXPECT_EQ(config.min_new_tokens, 2u);
  EXPECT_TRUE(config.ignore_eos);
  EXPECT_TRUE(config.echo);
  EXPECT_THAT(config.eos_token_ids, ElementsAre(3));
  EXPECT_THAT(config.stop_token_ids, ElementsAre(4, 5));
  EXPECT_THAT(config.stop_strings, ElementsAre("a", "b"));
  EXPECT_TRUE(config.include_stop_str_in_output);
  EXPECT_TRUE(config.do_sample);
  EXPECT_EQ(config.temperature, 0.5f);
  EXPECT_EQ(config.top_k, 5u);
  EXPECT_EQ(config.top_p, 0.25f);
  EXPECT_EQ(config.min_p, 0.125f);
  EXPECT_EQ(config.rng_seed, 9u);
  EXPECT_EQ(config.num_return_sequences, 3u);
  EXPECT_EQ(config.repetition_penalty, 1.5f);
  EXPECT_EQ(config.presence_penalty, -1.0f);
  EXPECT_EQ(config.frequency_penalty, 2.0f);
  EXPECT_EQ(config.logprobs, 1u);
  EXPECT_FALSE(config.apply_chat_template);
  EXPECT_FALSE(config.skip_special_tokens);
}

TEST(JsonFields, LeaveTheOthersAlone) {
  C config = valid();
  config.temperature = 3;
  config = with_json_fields(config, R"({"top_k": 5})");
  EXPECT_EQ(config.max_new_tokens, 10u);
  EXPECT_EQ(config.temperature, 3.0f);
}

TEST(JsonFields, OneStringMakesAList) { EXPECT_THAT(fields(R"({"stop_strings": "\n"})").stop_strings, ElementsAre("\n")); }

TEST(JsonFields, UnknownFieldsAreNamed) {
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"\"max_tokens\""}, [] { fields(R"({"max_tokens": 5})"); }));
}

TEST(JsonFields, WrongTypesAreNamed) {
  const std::vector<std::pair<const char*, const char*>> wrong{{R"({"max_new_tokens": -1})", "whole number"},
                                                               {R"({"max_new_tokens": 1.5})", "whole number"},
                                                               {R"({"top_k": "5"})", "whole number"},
                                                               {R"({"temperature": "1"})", "a number"},
                                                               {R"({"temperature": null})", "a number"},
                                                               {R"({"do_sample": 1})", "true or false"},
                                                               {R"({"stop_token_ids": [1, null]})", "token id"},
                                                               {R"({"eos_token_id": 1.5})", "token id"},
                                                               {R"({"stop_strings": ["a", 1]})", "strings"},
                                                               {R"({"stop_strings": {"a": 1}})", "strings"}};
  for (const auto& [json, expected] : wrong)
    EXPECT_TRUE(fails(ErrorKind::invalid_argument, {expected, "generation config"}, [json = json] { fields(json); })) << json;
}

TEST(JsonFields, OnlyAnObjectWillDo) {
  EXPECT_TRUE(fails(ErrorKind::invalid_argument, {"JSON object", "[1]"}, [] { fields("[1]"); }));
  EXPECT_TRUE(fails(ErrorKind::corrupt, {"generation config"}, [] { fields("{\"top_k\": "); }));
}

}  // namespace nibble
