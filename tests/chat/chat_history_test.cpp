#include <gtest/gtest.h>

#include "chat/reference_time.hpp"
#include "nibble/chat.hpp"
#include "nibble/error.hpp"

namespace nibble {
namespace {

template <class Action>
ErrorKind kind_of(const Action& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.kind();
  }
  ADD_FAILURE() << "no error";
  return ErrorKind::cancelled;
}

TEST(ChatHistory, KeepsMessagesInOrder) {
  ChatHistory history;
  EXPECT_TRUE(history.empty());
  EXPECT_EQ(history.to_json(), "[]");
  history.add("system", "Be brief.");
  history.add("user", "A \"quote\" and\nÜnï 👍");
  history.add_json(R"({"role":"assistant","content":null,"tool_calls":[{"id":123456789012345678901234567890,"x":1e16}]})");
  EXPECT_EQ(history.size(), 3u);
  EXPECT_EQ(history.to_json(),
            R"([{"role":"system","content":"Be brief."}, {"role":"user","content":"A \"quote\" and\nÜnï 👍"}, )"
            R"({"role": "assistant", "content": null, "tool_calls": [{"id": 123456789012345678901234567890, "x": 1e+16}]}])");
}

TEST(ChatHistory, DropsTheLastMessage) {
  ChatHistory history;
  history.add("user", "a");
  history.add("assistant", "b");
  history.pop_back();
  EXPECT_EQ(history.to_json(), R"([{"role":"user","content":"a"}])");
  history.clear();
  EXPECT_TRUE(history.empty());
  EXPECT_EQ(kind_of([&] { history.pop_back(); }), ErrorKind::invalid_argument);
}

TEST(ChatHistory, ReadsWhatItWrites) {
  const std::string text = R"([{"role": "user", "content": "a"}, {"role": "tool", "content": [{"type": "text", "text": "é"}], "n": -0.5}])";
  EXPECT_EQ(ChatHistory::from_json(text).to_json(), text);
  EXPECT_EQ(ChatHistory::from_json(text)[1], R"({"role": "tool", "content": [{"type": "text", "text": "é"}], "n": -0.5})");
}

TEST(ChatHistory, RefusesWhatIsNoMessage) {
  ChatHistory history;
  for (const char* text : {"", "[]", "1", "{}", R"({"role": 1})", R"({"content": "x"})", R"({"role": "user")", "{\"role\": \"\xFF\"}"})
    EXPECT_EQ(kind_of([&] { history.add_json(text); }), ErrorKind::invalid_argument) << text;
  for (const char* text : {"", "{}", "[1]", R"([{"role": "user"}, {}])"})
    EXPECT_EQ(kind_of([&] { ChatHistory::from_json(text); }), ErrorKind::invalid_argument) << text;
  EXPECT_EQ(kind_of([&] { history.add("user", "\xC3"); }), ErrorKind::invalid_argument);
  EXPECT_TRUE(history.empty());
}

TEST(ChatHistory, IsRenderedWithOtherVariables) {
  ChatHistory history;
  history.add("user", "Hi");
  const ChatTemplate chat(
      "{{ bos_token }}{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}{% if add_generation_prompt %}<a>{% endif %}");
  EXPECT_EQ(chat.render(history), "<user>Hi");
  EXPECT_EQ(chat.render(history, R"({"bos_token": "<s>", "add_generation_prompt": true, "messages": 1})"), "<s><user>Hi<a>");
}

TEST(ChatHistory, CarriesToolsAndFurtherVariables) {
  ChatHistory history;
  history.add("user", "Hi");
  history.set_tools(R"([{"type": "function", "function": {"name": "f"}}])");
  history.set_extra_context(R"({"documents": [{"title": "T"}], "enable_thinking": false})");
  const ChatTemplate chat("{{ tools[0].function.name }} {{ documents[0].title }} {{ enable_thinking }} {{ messages | length }}");
  EXPECT_EQ(chat.render(history), "f T False 1");
  EXPECT_EQ(chat.render(history, R"({"enable_thinking": true, "tools": [{"function": {"name": "g"}}]})"), "g T True 1")
      << "what is given with the call wins";
  history.set_tools("[]");
  EXPECT_EQ(history.tools(), "");
  EXPECT_EQ(ChatTemplate("{{ tools is none }}").render(history), "True");
}

TEST(ChatHistory, RefusesToolsAndVariablesOfOtherForms) {
  ChatHistory history;
  for (const char* text : {"{}", "1", "", "[", "null"})
    EXPECT_EQ(kind_of([&] { history.set_tools(text); }), ErrorKind::invalid_argument) << text;
  for (const char* text : {"[]", "1", "", "{"})
    EXPECT_EQ(kind_of([&] { history.set_extra_context(text); }), ErrorKind::invalid_argument) << text;
}

TEST(ChatHistory, TakesCallsResultsReasoningAndParts) {
  const std::string text =
      R"([{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is this?"}]}, )"
      R"({"role": "assistant", "content": "", "reasoning_content": "Hm.", "tool_calls": [{"id": "c", "type": "function", )"
      R"("function": {"name": "look", "arguments": {"n": 1}}}]}, {"role": "tool", "tool_call_id": "c", "content": "a fox"}])";
  const ChatTemplate chat(
      "{% for m in messages %}{% if m.content is string %}{{ m.content }}{% else %}{% for p in m.content %}[{{ p.type }}]{{ p.text }}"
      "{% endfor %}{% endif %}{{ m.reasoning_content }}{% for c in m.tool_calls or [] %}{{ c.function.name }}{{ c.function.arguments | "
      "tojson }}"
      "{% endfor %}{{ m.tool_call_id }}|{% endfor %}");
  EXPECT_EQ(chat.render(ChatHistory::from_json(text)), R"([image][text]What is this?|Hm.look{"n": 1}|a foxc|)");
}

}  // namespace
}  // namespace nibble
