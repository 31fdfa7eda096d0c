#pragma once

#include <span>
#include <string_view>

#include "chat/response/call_reader.hpp"

namespace nibble {

/// How a single call is written.
enum class CallGrammar { none, json, named, xml, python };

/// How a family of models writes tool calls: sections of text that hold calls. All views have static storage.
struct ToolFormat {
  std::string_view name;
  Markers aliases = {};         ///< names that other servers have for it
  Markers template_marks = {};  ///< a chat template with all of these asks for it
  Markers section_opens = {}, section_closes = {};
  std::string_view bare_opens = {};  ///< characters that open a section where the answer begins with them
  Markers call_opens = {};           ///< these open a section too
  /// How a call is written that begins with one of call_opens, with { of a JSON object, or with a letter.
  CallGrammar at_marker = CallGrammar::none, at_brace = CallGrammar::none, at_word = CallGrammar::none;
  NamedGrammar named = {};
  XmlGrammar xml = {};
  Markers between = {};         ///< may stand between calls, beside white space and []{},;
  bool ends_reasoning = false;  ///< a section that opens within the reasoning ends it
  bool harmony = false;         ///< messages in channels: HarmonyReader takes the text apart
};

/// How a family of models writes its reasoning.
struct ReasoningFormat {
  std::string_view name;
  Markers aliases = {};
  Markers template_marks = {};
  Markers opens = {}, closes = {};
  Markers dropped = {};           ///< around the answer
  bool opened_by_prompt = false;  ///< where the prompt is not known, the text starts inside the reasoning
  bool harmony = false;
};

/// In the order in which a template is looked at; the last one has the name "none" and no markers.
std::span<const ToolFormat> tool_formats();
std::span<const ReasoningFormat> reasoning_formats();

/// Throws Error{invalid_argument} that lists the names.
const ToolFormat& find_tool_format(std::string_view name);
const ReasoningFormat& find_reasoning_format(std::string_view name);

}  // namespace nibble
