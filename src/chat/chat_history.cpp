#include <nlohmann/json.hpp>

#include "base/fail.hpp"
#include "chat/jinja/json.hpp"
#include "chat/jinja/unicode.hpp"
#include "nibble/chat.hpp"

namespace nibble {

namespace {

using jinja::Value;

/// Calls use(run, value) with what the JSON text holds.
template <class Use>
void with_json(std::string_view text, const Use& use) {
  try {
    jinja::Run run(jinja::Limits{}, std::tm{});
    use(run, jinja::read_json(run, text));
  } catch (const jinja::Failure& failure) {
    fail(ErrorKind::invalid_argument, "the messages cannot be read: {}", failure.what());
  }
}

std::string message_text(jinja::Run& run, const Value& message) {
  const Value* role = message.is_dict() ? jinja::find(message.dict(), "role") : nullptr;
  if (!role || !role->is_string()) fail(ErrorKind::invalid_argument, "a message has to be a JSON object with a \"role\", such as \"user\"");
  return jinja::write_json(run, message, {}).text();
}

}  // namespace

ChatHistory ChatHistory::from_json(std::string_view messages) {
  ChatHistory history;
  with_json(messages, [&](jinja::Run& run, const Value& list) {
    if (!list.is_list()) fail(ErrorKind::invalid_argument, "a chat history has to be a JSON array of messages");
    for (const Value& message : list.items()) history.messages_.push_back(message_text(run, message));
  });
  return history;
}

void ChatHistory::add(std::string_view role, std::string_view content) {
  if (!is_utf8(role) || !is_utf8(content)) fail(ErrorKind::invalid_argument, "the text of a message has to be UTF-8");
  messages_.push_back(nlohmann::ordered_json{{"role", role}, {"content", content}}.dump());
}

void ChatHistory::add_json(std::string_view message) {
  with_json(message, [&](jinja::Run& run, const Value& value) { messages_.push_back(message_text(run, value)); });
}

void ChatHistory::set_tools(std::string_view tools) {
  with_json(tools, [&](jinja::Run& run, const Value& list) {
    if (!list.is_list()) fail(ErrorKind::invalid_argument, "the tools of a chat have to be a JSON array");
    tools_ = list.items().empty() ? std::string() : std::string(jinja::write_json(run, list, {}).text());
  });
}

void ChatHistory::set_extra_context(std::string_view variables) {
  with_json(variables, [&](jinja::Run& run, const Value& object) {
    if (!object.is_dict()) fail(ErrorKind::invalid_argument, "the variables of a chat have to be a JSON object");
    extra_context_ = object.dict().entries.empty() ? std::string() : std::string(jinja::write_json(run, object, {}).text());
  });
}

void ChatHistory::pop_back() {
  if (messages_.empty()) fail(ErrorKind::invalid_argument, "the chat history has no message to take away");
  messages_.pop_back();
}

std::string ChatHistory::to_json() const {
  std::string text = "[";
  for (const std::string& message : messages_) {
    if (text.size() > 1) text += ", ";
    text += message;
  }
  return text + "]";
}

}  // namespace nibble
