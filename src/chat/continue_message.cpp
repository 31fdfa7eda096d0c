#include "chat/continue_message.hpp"

#include "chat/jinja/operators.hpp"
#include "chat/jinja/unicode.hpp"

namespace nibble {

using jinja::Fault;
using jinja::Run;
using jinja::Value;

namespace {

// The mark of transformers: templates may treat the length of a message, so it must be the same one.
constexpr std::string_view mark = "CONTINUE_FINAL_MESSAGE_TAG ";
constexpr std::string_view bare_mark = "CONTINUE_FINAL_MESSAGE_TAG";

Value with_member(Run& run, const Value& dict, std::string_view name, Value value) {
  jinja::DictBuilder result(run);
  for (const auto& [key, old] : dict.dict().entries) result.set(key, old);
  result.set(run.string(std::string(name)), std::move(value));
  return result.value();
}

Value with_last(Run& run, const Value& list, size_t index, Value value) {
  std::vector<Value> items = list.items();
  items[index] = std::move(value);
  return run.list(std::move(items));
}

Value marked_text(Run& run, const Value& text) {
  if (!text.is_string()) refuse(Fault::type_error, "continue_final_message is set, but the content of the final message is no text");
  return run.string(text.text() + std::string(mark));
}

bool has_content(const Value& message) { return message.is_dict() && find(message.dict(), "content"); }

}  // namespace

FinalMessage::FinalMessage(Run& run, const Value& context) {
  const Value* messages = find(context.dict(), "messages");
  if (!messages || !messages->is_list() || messages->items().empty() || !has_content(messages->items().back()))
    refuse(Fault::value_error, "continue_final_message is set, but there is no final message with a content");
  const Value& message = messages->items().back();
  const Value& content = *find(message.dict(), "content");
  Value changed;
  if (content.is_list()) {
    for (size_t i = content.items().size(); i-- > 0 && changed.is_missing();) {
      const Value& part = content.items()[i];
      const Value* text = part.is_dict() ? find(part.dict(), "text") : nullptr;
      if (!text) continue;
      changed = with_last(run, content, i, with_member(run, part, "text", marked_text(run, *text)));
      content_ = text->text();
    }
    if (changed.is_missing())
      refuse(Fault::value_error, "continue_final_message is set but we could not find any text to continue in the final message!");
  } else {
    changed = marked_text(run, content);
    content_ = content.text();
  }
  const Value last = with_member(run, message, "content", changed);
  marked_ = with_member(run, context, "messages", with_last(run, *messages, messages->items().size() - 1, last));
}

std::string FinalMessage::cut(const std::string& output) const {
  const size_t at = output.rfind(bare_mark);
  if (at == std::string::npos || output.find(jinja::strip(content_, nullptr, true, true)) == std::string::npos)
    refuse(Fault::value_error,
           "continue_final_message is set but the final message does not appear in the chat after applying the chat template! This can "
           "happen if the chat template deletes portions of the final message. Please verify the chat template and final message in "
           "your chat to ensure they are compatible.");
  const std::string_view kept = std::string_view(output).substr(0, at);
  const bool spacing_kept = output.compare(at, mark.size(), mark) == 0;
  return std::string(spacing_kept ? kept : jinja::strip(kept, nullptr, false, true));
}

}  // namespace nibble
