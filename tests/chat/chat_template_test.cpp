#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

#include "base/mapped_file.hpp"
#include "chat/reference_time.hpp"
#include "nibble/chat.hpp"
#include "nibble/error.hpp"

namespace nibble {
namespace {

namespace fs = std::filesystem;

template <class Action>
Error error_of(const Action& action) {
  try {
    action();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "no error";
  return Error(ErrorKind::cancelled, "");
}

TEST(ChatTemplate, PassesWhatTransformersAlwaysPasses) {
  const ChatTemplate chat("{{ tools }} {{ documents }} {{ add_generation_prompt }} {{ messages is defined }}");
  EXPECT_EQ(chat.render("{}"), "None None False False");
  EXPECT_EQ(chat.render(R"({"tools": [], "documents": 1, "add_generation_prompt": true, "messages": []})"), "[] 1 True True");
}

TEST(ChatTemplate, SaysWhatTheTemplateSays) {
  const Error error = error_of([] { ChatTemplate("{{ raise_exception('Roles must alternate') }}").render("{}"); });
  EXPECT_STREQ(error.what(), "Roles must alternate");
  EXPECT_EQ(error.kind(), ErrorKind::invalid_argument);
}

TEST(ChatTemplate, RefusesVariablesThatAreNoObject) {
  for (const char* text : {"", "[]", "1", "{", "nul", "{\"a\": \"\xFF\"}"})
    EXPECT_EQ(error_of([&] { ChatTemplate("x").render(text); }).kind(), ErrorKind::invalid_argument) << text;
}

TEST(ChatTemplate, RefusesWhatIsNotUtf8) {
  EXPECT_EQ(error_of([] { ChatTemplate("a\xFFz"); }).kind(), ErrorKind::corrupt);
  EXPECT_EQ(error_of([] { ChatTemplate("{{ '\\ud83d' }}").render("{}"); }).kind(), ErrorKind::invalid_argument);
}

TEST(ChatTemplate, ContinuesTheFinalMessage) {
  const ChatTemplate chat("{% for m in messages %}<{{ m.role }}>{{ m.content | trim }}</s>{% endfor %}");
  ChatRenderOptions options;
  options.continue_final_message = true;
  EXPECT_EQ(chat.render(R"({"messages": [{"role": "u", "content": "a"}, {"role": "a", "content": "Once upon "}]})", options),
            "<u>a</s><a>Once upon");
  for (const char* context :
       {"{}", R"({"messages": []})", R"({"messages": [{"role": "u"}]})", R"({"messages": [{"role": "u", "content": null}]})",
        R"({"messages": [{"role": "u", "content": [{"type": "image"}]}]})"})
    EXPECT_EQ(error_of([&] { chat.render(context, options); }).kind(), ErrorKind::invalid_argument) << context;
  EXPECT_EQ(error_of([&] { ChatTemplate("x").render(R"({"messages": [{"role": "u", "content": "a"}]})", options); }).kind(),
            ErrorKind::invalid_argument);
}

TEST(ChatTemplate, ReadsTheClockOfTheSystemByDefault) {
  const std::string year = ChatTemplate("{{ strftime_now('%Y') }}").render("{}");
  EXPECT_GE(std::stoi(year), 2024);
  ChatRenderOptions options;
  options.now = std::tm{};
  EXPECT_EQ(error_of([&] { ChatTemplate("x").render("{}", options); }).kind(), ErrorKind::invalid_argument);
}

TEST(ChatTemplate, IsThreadSafe) {
  const std::string folder = std::string(NIBBLE_SOURCE_DIR) + "/tests/data/chat/";
  const ChatTemplate chat(read_file(folder + "nib.jinja"));
  const std::string context = R"({"bos_token": "<s>", "messages": [{"role": "user", "content": "Hi"}], "add_generation_prompt": true})";
  const std::string expected = "<s><|turn|>user\nHi<|stop|><|turn|>assistant\n";
  std::vector<std::string> results(4);
  std::vector<std::thread> threads;
  for (std::string& result : results)
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) result = chat.render(context);
    });
  for (std::thread& thread : threads) thread.join();
  for (const std::string& result : results) EXPECT_EQ(result, expected);
}

/// A model directory that goes away with the test.
class Directory {
 public:
  Directory() : path_(fs::temp_directory_path() / ("nibble-chat-" + std::to_string(std::random_device()()))) {
    fs::create_directories(path_);
  }
  ~Directory() { fs::remove_all(path_); }
  void write(const fs::path& name, std::string_view text) const {
    fs::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name) << text;
  }
  std::string load(std::string_view name = "default") const {
    auto found = load_chat_template(path_, name);
    return found ? found->source() : "(none)";
  }

 private:
  fs::path path_;
};

TEST(LoadChatTemplate, TakesFilesInTheOrderOfTransformers) {
  Directory model;
  EXPECT_EQ(model.load(), "(none)");
  model.write("tokenizer_config.json", R"({"chat_template": "from the configuration", "model_max_length": 1})");
  EXPECT_EQ(model.load(), "from the configuration");
  EXPECT_EQ(model.load("tool_use"), "(none)");
  model.write("chat_template.json", R"({"chat_template": "from its own JSON"})");
  EXPECT_EQ(model.load(), "from its own JSON");
  model.write("chat_template.jinja", "from a template file");
  EXPECT_EQ(model.load(), "from a template file");
}

TEST(LoadChatTemplate, FindsNamedTemplates) {
  Directory model;
  model.write("tokenizer_config.json",
              R"({"chat_template": [{"name": "default", "template": "a"}, {"name": "tool_use", "template": "b"}]})");
  EXPECT_EQ(model.load(), "a");
  EXPECT_EQ(model.load("tool_use"), "b");
  EXPECT_EQ(model.load("rag"), "(none)");
  model.write("chat_template.jinja", "c");
  EXPECT_EQ(model.load("tool_use"), "(none)");
  model.write("additional_chat_templates/tool_use.jinja", "d");
  EXPECT_EQ(model.load("tool_use"), "d");
  EXPECT_EQ(model.load(), "c");
}

TEST(LoadChatTemplate, RefusesBrokenFiles) {
  for (const char* text :
       {"", "[]", "{", R"({"chat_template": 1})", R"({"chat_template": [1]})", R"({"chat_template": [{"name": "default"}]})"}) {
    Directory model;
    model.write("tokenizer_config.json", text);
    EXPECT_EQ(error_of([&] { model.load(); }).kind(), ErrorKind::corrupt) << text;
  }
  Directory model;
  model.write("chat_template.jinja", "{% if %}");
  EXPECT_EQ(error_of([&] { model.load(); }).kind(), ErrorKind::corrupt);
  EXPECT_EQ(error_of([&] { model.load("../secret"); }).kind(), ErrorKind::invalid_argument);
}

TEST(LoadChatTemplate, TakesNullForNone) {
  Directory model;
  model.write("tokenizer_config.json", R"({"chat_template": null})");
  EXPECT_EQ(model.load(), "(none)");
}

}  // namespace
}  // namespace nibble
