#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nibble {

/// How a model writes its reasoning and its tool calls: names out of tool_parser_names() and reasoning_parser_names(), or other
/// servers' names for them. docs/chat-templates.md has the table of formats.
struct ResponseFormat {
  std::string tool_parser = "none";
  std::string reasoning_parser = "none";
};

/// The names that ResponseFormat takes; "none" is the last one.
std::vector<std::string> tool_parser_names();
std::vector<std::string> reasoning_parser_names();

/// The format that a chat template asks its model for, told from the markers in the template's text: "none" where there are none.
ResponseFormat detect_response_format(std::string_view chat_template);

/// What a parser may know beside the text.
struct ResponseParserOptions {
  ResponseFormat format = {};
  /// The JSON array of tools that the template was given: what Qwen3-Coder and others write without quotes gets the type that the
  /// parameter has in its schema. An empty array turns tool calls off. Absent: types are guessed.
  std::optional<std::string> tools = {};
  /// What the model was given, or the end of it: templates may open the reasoning or a call themselves. Absent: not known.
  std::optional<std::string> prompt = {};
  /// Texts that are no content, such as the model's end-of-sequence token where special tokens are kept.
  std::vector<std::string> ignored_tokens = {};
  /// Makes ids of calls reproducible. Absent: a random number.
  std::optional<uint64_t> id_seed = {};
};

/// Something that a piece of text adds to a message.
struct ResponseDelta {
  enum class Kind {
    content,         ///< `text`
    reasoning,       ///< `text`
    call_begin,      ///< a tool call: `index` from 0, `id`, `name`
    call_arguments,  ///< `text` goes on with the arguments of the call `index`; together they are JSON
    call_end,        ///< `complete` is false where the text broke off or went wrong; then the arguments are the beginning of JSON
    finish,          ///< the last one; `text` is "tool_calls" or "stop"
  };
  Kind kind = Kind::content;
  std::string text;
  size_t index = 0;
  std::string id, name;
  bool complete = true;
};

/// One call of a tool. `arguments` is JSON, an object unless the model wrote something else; the beginning of it where not `complete`.
struct ToolCall {
  std::string id, name, arguments;
  bool complete = true;
};

/// A message taken apart.
struct ParsedResponse {
  std::string content, reasoning_content;
  std::vector<ToolCall> tool_calls;

  /// Adds what a parser has given out.
  void add(const ResponseDelta& delta);
  /// The JSON text of the message as chat templates take it, for ChatHistory::add_json: arguments are an object, or a text where they are
  /// no JSON; "reasoning_content" and "tool_calls" are there when not empty.
  std::string to_json() const;
};

/// Takes the text that a model generates apart while it is generated. Any text gives a message: what is no whole marker is content, a
/// tool call that turns out to be none becomes content again, one that breaks off after its arguments have begun ends as incomplete.
/// Takes time linear in the text and holds back at most 1 MiB. For one thread at a time; one object for a message.
class ResponseParser {
 public:
  /// Throws Error{invalid_argument} for names of formats that there are not, and for tools that are no JSON array.
  explicit ResponseParser(const ResponseParserOptions& options);
  ~ResponseParser();
  ResponseParser(ResponseParser&&) noexcept;
  ResponseParser& operator=(ResponseParser&&) noexcept;

  /// The next piece, cut anywhere. Gives what has become certain, in whole characters; bytes that are not UTF-8 count as U+FFFD.
  std::vector<ResponseDelta> feed(std::string_view piece);
  /// The end of the text: what was held back, and Kind::finish. There must be no further piece.
  std::vector<ResponseDelta> finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The message that a whole text is: what a ResponseParser gives out for it, put together. Throws as ResponseParser does.
ParsedResponse parse_response(std::string_view text, const ResponseParserOptions& options);

}  // namespace nibble
