#include <gmock/gmock.h>

#include "command.hpp"

namespace nibble {

using test::Command;
using test::nib;
using test::nibble;
using test::Outcome;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

namespace {

using nlohmann::json;

Outcome chat(std::string_view input, std::vector<std::string> options = {}) {
  options.insert(options.begin(), {"chat", nib(), "--max-new-tokens", "32"});
  return nibble(options, input);
}

/// The messages that "/history" as the last line prints.
json history(const Outcome& run) { return json::parse(run.out.substr(run.out.find('['))); }

}  // namespace

TEST(Chat, AnswersEachLine) {
  Outcome run = chat("Who are you?\nWhat is 7 + 5?\n");
  EXPECT_EQ(run.code, 0);
  EXPECT_EQ(run.out, "I am Nib, a tiny model that ships with Nibble.\n7 + 5 = 12.\n");
  EXPECT_THAT(run.err, IsEmpty());
}

TEST(Chat, RemembersWhatWasSaid) {
  EXPECT_EQ(chat("My name is Oscar.\nWhat is 2 + 3?\nWhat is my name?\n").out,
            "Nice to meet you, Oscar!\n2 + 3 = 5.\nYour name is Oscar.\n");
}

TEST(Chat, ClearForgets) { EXPECT_THAT(chat("My name is Oscar.\n/clear\nWhat is my name?\n").out, Not(HasSubstr("Your name is Oscar."))); }

TEST(Chat, HistoryShowsAllMessages) {
  Outcome run = chat("Hello!\n/history\n");
  EXPECT_EQ(history(run), json::parse(R"([{"role": "user", "content": "Hello!"},
                                          {"role": "assistant", "content": "Hello! How can I help you?"}])"));
}

TEST(Chat, ALineThatEndsInABackslashGoesOn) {
  EXPECT_EQ(history(chat("Read this:\\\nThe lamp is red.\\\nOK?\n/history\n"))[0]["content"], "Read this:\nThe lamp is red.\nOK?");
}

TEST(Chat, ThreeQuotesHoldALongMessage) {
  EXPECT_EQ(history(chat("\"\"\"\nRead this:\n\n/clear is no command here\\\n\"\"\"\n/history\n"))[0]["content"],
            "Read this:\n\n/clear is no command here\\");
}

TEST(Chat, TheLastLineNeedsNoLineEnd) { EXPECT_EQ(chat("What is 7 + 5?").out, "7 + 5 = 12.\n"); }

TEST(Chat, SystemMessagesAreFollowed) {
  const char* pirate = "Arr! The capital of France is Paris.\n";
  EXPECT_EQ(chat("What is the capital of France?\n", {"--system", "Speak like a pirate."}).out, pirate);
  EXPECT_EQ(chat("/system Speak like a pirate.\nWhat is the capital of France?\n").out, pirate);
  EXPECT_EQ(chat("What is the capital of France?\n/clear\nWhat is the capital of France?\n", {"--system", "Speak like a pirate."}).out,
            std::string(pirate) + pirate)
      << "/clear keeps the system message";
}

TEST(Chat, ExitEndsAtOnce) {
  Outcome run = chat("/exit\nWho are you?\n");
  EXPECT_EQ(run.code, 0);
  EXPECT_THAT(run.out, IsEmpty());
}

TEST(Chat, HelpNamesTheCommands) {
  EXPECT_THAT(chat("/help\n").out, AllOf(HasSubstr("/clear"), HasSubstr("/system"), HasSubstr("/exit"), HasSubstr("\"\"\"")));
}

TEST(Chat, StatsTellTheTimes) { EXPECT_THAT(chat("Hello!\n/stats\n").out, HasSubstr("9 out")); }

TEST(Chat, AnInterruptStopsTheAnswerOnly) {
  Command command({"chat", nib(), "--ignore-eos", "--max-new-tokens", "100000"});
  command.write("Tell me a story about a fox.\n");
  command.wait_until([&] { return command.output().size() > 20; });
  command.interrupt();
  command.wait_until([&] { return command.output().find("(stopped)") != std::string::npos; });
  command.write("/history\n");
  Outcome run = command.finish();
  EXPECT_EQ(run.code, 0);
  json messages = history(run);
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_THAT(run.out, HasSubstr(messages[1]["content"].get<std::string>().substr(0, 20)));
}

TEST(Chat, AnInterruptAtThePromptEndsNothing) {
  Command command({"chat", nib()});
  command.write("Who are you?\n");
  command.wait_until([&] { return command.output().find("Nibble.\n") != std::string::npos; });
  command.interrupt();
  command.wait_until([&] { return command.output().find("Ctrl-D") != std::string::npos; });
  command.write("What is 7 + 5?\n");
  Outcome run = command.finish();
  EXPECT_EQ(run.code, 0);
  EXPECT_THAT(run.out, HasSubstr("7 + 5 = 12."));
}

TEST(Chat, ReasoningIsKeptApart) {
  test::ScratchDirectory scratch;
  const std::string file = scratch / "thinking.jinja";
  const std::string own = test::file_text(nib() + "/chat_template.jinja");
  test::write_text(file, own + "{# </think> #}{% if add_generation_prompt %}<think>{% endif %}");
  Outcome run = chat("Who are you?\n/history\n", {"--chat-template", file, "--min-new-tokens", "8"});
  EXPECT_EQ(run.code, 0);
  const json answer = json::parse(run.out.substr(run.out.rfind("[{")))[1];
  EXPECT_EQ(answer["content"], "") << "the template opened the reasoning, and Nib does not know how to end it";
  EXPECT_THAT(answer["reasoning_content"].get<std::string>(), Not(IsEmpty()));
  EXPECT_THAT(run.out, AllOf(HasSubstr(answer["reasoning_content"].get<std::string>()), Not(HasSubstr("\033"))));
}

TEST(Chat, NeedsATemplate) {
  test::ScratchDirectory scratch;
  for (const char* file : {"config.json", "model.safetensors", "tokenizer.json", "generation_config.json"})
    std::filesystem::create_symlink(nib() + "/" + file, scratch / file);
  Outcome run = nibble({"chat", scratch.path()}, "Hello!\n");
  EXPECT_EQ(run.code, 1);
  EXPECT_THAT(run.err, AllOf(HasSubstr("no chat template"), HasSubstr("nibble generate")));
}

}  // namespace nibble
