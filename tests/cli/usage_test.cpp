#include <gmock/gmock.h>

#include "command.hpp"

namespace nibble {

using test::nib;
using test::nibble;
using test::Outcome;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

namespace {

using Arguments = std::vector<std::string>;

const std::vector<std::string> kCommands{"export",   "generate", "chat", "logits", "tokenize", "detokenize",
                                         "template", "inspect",  "eval", "bench",  "devices"};

class Subcommand : public testing::TestWithParam<std::string> {};
class WrongCommandLine : public testing::TestWithParam<std::pair<const char*, Arguments>> {};
class MissingModel : public testing::TestWithParam<std::pair<const char*, Arguments>> {};

std::string name_of(const auto& instance) { return instance.param.first; }

}  // namespace

TEST_P(Subcommand, HelpHasExamples) {
  Outcome run = nibble({GetParam(), "--help"});
  EXPECT_EQ(run.code, 0);
  EXPECT_THAT(run.out, AllOf(HasSubstr("Examples:\n"), HasSubstr("nibble " + GetParam() + " ")));
  EXPECT_THAT(run.err, IsEmpty());
}

TEST_P(Subcommand, IsInTheHelpOfTheCommand) { EXPECT_THAT(nibble({"--help"}).out, HasSubstr("\n  " + GetParam() + " ")); }

INSTANTIATE_TEST_SUITE_P(Cli, Subcommand, testing::ValuesIn(kCommands), [](const auto& instance) { return instance.param; });

TEST_P(WrongCommandLine, EndsWithTwo) {
  Outcome run = nibble(GetParam().second);
  EXPECT_EQ(run.code, 2) << run.err;
  EXPECT_THAT(run.out, IsEmpty());
  EXPECT_THAT(run.err, testing::Not(IsEmpty()));
}

INSTANTIATE_TEST_SUITE_P(Cli, WrongCommandLine,
                         testing::Values(std::pair{"no_command", Arguments{}}, std::pair{"unknown_command", Arguments{"fly"}},
                                         std::pair{"unknown_option", Arguments{"generate", nib(), "--fly"}},
                                         std::pair{"no_model", Arguments{"generate", "-p", "Hi"}},
                                         std::pair{"no_number", Arguments{"generate", nib(), "-p", "Hi", "--max-new-tokens", "many"}},
                                         std::pair{"negative", Arguments{"generate", nib(), "-p", "Hi", "--max-new-tokens", "-1"}},
                                         std::pair{"two_prompts", Arguments{"generate", nib(), "-p", "Hi", "--ids", "1,2"}},
                                         std::pair{"no_ids", Arguments{"generate", nib(), "--ids", "1,two"}},
                                         std::pair{"prompt_and_lines", Arguments{"generate", nib(), "-p", "Hi", "--jsonl"}},
                                         std::pair{"property", Arguments{"generate", nib(), "-p", "Hi", "--property", "FAST"}},
                                         std::pair{"empty_row", Arguments{"logits", nib(), "--ids", "1,2;", "--out", "unused"}},
                                         std::pair{"no_out", Arguments{"logits", nib(), "--ids", "1,2"}},
                                         std::pair{"no_messages", Arguments{"template", nib(), "--messages", "{}"}},
                                         std::pair{"window", Arguments{"eval", nib(), "--text", "unused", "--window", "1"}},
                                         std::pair{"ratio", Arguments{"export", nib(), "unused", "--ratio", "1.5"}}),
                         [](const auto& instance) { return name_of(instance); });

TEST_P(MissingModel, IsNamedInTheError) {
  Outcome run = nibble(GetParam().second);
  EXPECT_EQ(run.code, 1);
  EXPECT_THAT(run.out, IsEmpty());
  EXPECT_THAT(run.err, AllOf(StartsWith("nibble: error: "), HasSubstr("no-such-model")));
}

INSTANTIATE_TEST_SUITE_P(Cli, MissingModel,
                         testing::Values(std::pair{"export", Arguments{"export", "no-such-model", "unused"}},
                                         std::pair{"generate", Arguments{"generate", "no-such-model", "-p", "Hi"}},
                                         std::pair{"generate_json", Arguments{"generate", "no-such-model", "-p", "Hi", "--json"}},
                                         std::pair{"chat", Arguments{"chat", "no-such-model"}},
                                         std::pair{"logits", Arguments{"logits", "no-such-model", "--ids", "1", "--out", "unused"}},
                                         std::pair{"tokenize", Arguments{"tokenize", "no-such-model", "--text", "Hi"}},
                                         std::pair{"detokenize", Arguments{"detokenize", "no-such-model", "--ids", "1"}},
                                         std::pair{"template", Arguments{"template", "no-such-model", "--messages", "[]"}},
                                         std::pair{"inspect", Arguments{"inspect", "no-such-model"}},
                                         std::pair{"eval", Arguments{"eval", "no-such-model", "--text", nib() + "/README.md"}},
                                         std::pair{"bench", Arguments{"bench", "no-such-model"}}),
                         [](const auto& instance) { return name_of(instance); });

TEST(Cli, VersionIsPrinted) {
  Outcome run = nibble({"--version"});
  EXPECT_EQ(run.code, 0);
  EXPECT_THAT(run.out, testing::MatchesRegex("[0-9]+\\.[0-9]+\\.[0-9]+\n"));
}

TEST(Cli, UnknownDevicesAreNamedWithTheKnownOnes) {
  Outcome run = nibble({"generate", nib(), "-p", "Hi", "--device", "TOASTER"});
  EXPECT_EQ(run.code, 1);
  EXPECT_THAT(run.err, AllOf(HasSubstr("TOASTER"), HasSubstr("REFERENCE")));
}

TEST(Cli, DevicesAreListed) {
  auto document = nibble({"devices", "--json"}).document();
  ASSERT_FALSE(document["devices"].empty());
  int defaults = 0;
  for (const auto& device : document["devices"]) {
    EXPECT_THAT(nibble({"devices"}).out, HasSubstr(device["name"].get<std::string>()));
    EXPECT_FALSE(device["description"].get<std::string>().empty());
    defaults += device["default"].get<bool>();
  }
  EXPECT_EQ(defaults, 1);
  EXPECT_TRUE(document["isa"].is_string());
}

}  // namespace nibble
