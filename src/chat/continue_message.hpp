#pragma once

#include <string>

#include "chat/jinja/run.hpp"

namespace nibble {

/// Renders a chat so that its last message stays open, the way transformers does: a mark is put behind the message, and what
/// the template writes from the mark on is cut off.
class FinalMessage {
 public:
  /// Takes the last message of the context's "messages"; its content is a text, or a list whose last "text" counts.
  FinalMessage(jinja::Run& run, const jinja::Value& context);
  /// The context with the mark.
  const jinja::Value& marked() const { return marked_; }
  /// The output up to the mark. Throws Failure{value_error} where the template has changed the message or left it out.
  std::string cut(const std::string& output) const;

 private:
  std::string content_;
  jinja::Value marked_;
};

}  // namespace nibble
