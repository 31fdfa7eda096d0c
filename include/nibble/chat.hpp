#pragma once

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nibble {

/// The messages of a conversation in their order. As a standard container: one thread may change it, or many may read it.
/// A message is a JSON object with at least a "role"; what else it holds (content, tool_calls ...) is up to the template.
class ChatHistory {
 public:
  /// From the JSON text of an array of messages. Throws Error{invalid_argument} for anything else.
  static ChatHistory from_json(std::string_view messages);

  /// Adds {"role": role, "content": content}. Both are UTF-8; throws Error{invalid_argument} otherwise.
  void add(std::string_view role, std::string_view content);
  /// Adds a message from its JSON text. Throws Error{invalid_argument} for what is not an object with a "role".
  void add_json(std::string_view message);
  /// Drops the last message. Throws Error{invalid_argument} when there is none.
  void pop_back();
  void clear() { messages_.clear(); }

  /// What the template gets as "tools": the JSON text of an array; an empty array for none. Throws Error{invalid_argument} for anything
  /// else.
  void set_tools(std::string_view tools);
  /// The JSON text of the array; empty when there are no tools.
  const std::string& tools() const { return tools_; }
  /// Further variables of the template ("documents", "enable_thinking" ...): the JSON text of an object. Throws Error{invalid_argument}
  /// for anything else.
  void set_extra_context(std::string_view variables);
  /// The JSON text of the object; empty when there are none.
  const std::string& extra_context() const { return extra_context_; }

  size_t size() const { return messages_.size(); }
  bool empty() const { return messages_.empty(); }
  /// The JSON text of one message.
  const std::string& operator[](size_t index) const { return messages_[index]; }
  /// The JSON text of the array of messages.
  std::string to_json() const;

 private:
  std::vector<std::string> messages_;
  std::string tools_, extra_context_;
};

/// Options of a rendering. The limits are there because templates come with models from strangers: they bound time and memory.
struct ChatRenderOptions {
  /// What the template's strftime_now() sees; year, month, day and time of day count. Absent: the local time.
  std::optional<std::tm> now;
  /// Leaves the last message open for the model to go on with it, instead of ending it: the output stops inside it.
  bool continue_final_message = false;
  uint64_t max_steps = 50'000'000;              ///< evaluations; tens of millions take seconds
  size_t max_output_bytes = size_t{64} << 20;   ///< also of any string in between
  size_t max_memory_bytes = size_t{512} << 20;  ///< of all values
};

/// A range of code points, end exclusive.
struct CharacterRange {
  size_t begin = 0, end = 0;
};

/// A rendered chat.
struct RenderedChat {
  std::string text;                        ///< UTF-8
  std::vector<CharacterRange> generation;  ///< what {% generation %} blocks made: the assistant's own words, for training
};

/// A chat template in the Jinja dialect of Hugging Face models, rendered exactly as transformers does (docs/chat-templates.md).
/// Immutable and thread-safe; copies share the compiled template.
class ChatTemplate {
 public:
  /// Compiles the template. `name` stands in messages. Throws Error{corrupt} with the line for what is not a valid template.
  explicit ChatTemplate(std::string source, std::string name = "chat_template");

  /// Renders `context`, the JSON text of an object whose members are the template's variables: "messages", "tools",
  /// "documents", "add_generation_prompt", "bos_token", "eos_token" and whatever else the template knows. As in transformers,
  /// absent "tools" and "documents" are none and an absent "add_generation_prompt" is false.
  /// Throws Error{invalid_argument} with the template's own words where it calls raise_exception(), and with the line for
  /// anything else that goes wrong in it; Error{exhausted} beyond the limits.
  std::string render(std::string_view context, const ChatRenderOptions& options = {}) const;
  /// The same for a history; `variables` is the JSON text of an object with all other variables, which win over the history's own.
  std::string render(const ChatHistory& history, std::string_view variables = "{}", const ChatRenderOptions& options = {}) const;
  /// The same with the ranges of the generation blocks; with continue_final_message they may reach beyond the text.
  RenderedChat render_tracked(std::string_view context, const ChatRenderOptions& options = {}) const;

  const std::string& source() const;

 private:
  struct Compiled;
  std::shared_ptr<const Compiled> compiled_;
};

/// The chat template of a model directory, or nothing when it has none of that name. In the order of transformers:
/// chat_template.jinja (with others in additional_chat_templates/NAME.jinja), chat_template.json, then "chat_template" of
/// tokenizer_config.json, which is a text or a list of {"name", "template"}; a single template is named "default", the other
/// usual name is "tool_use". Last comes what the metadata of a GGUF file says. Throws Error{corrupt} for files that are not what they
/// should be.
std::optional<ChatTemplate> load_chat_template(const std::filesystem::path& directory, std::string_view name = "default");

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
