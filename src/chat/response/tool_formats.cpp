#include "chat/response/formats.hpp"

namespace nibble {

namespace {

constexpr XmlGrammar tags(std::string_view key_open, std::string_view value_close, std::string_view call_close) {
  XmlGrammar grammar;
  grammar.name_end = ">";
  grammar.key_open = key_open;
  grammar.key_end = ">";
  grammar.value_close = value_close;
  grammar.call_close = call_close;
  return grammar;
}

/// <function=NAME><parameter=KEY> with each value on lines of its own.
constexpr XmlGrammar function_tags() {
  XmlGrammar grammar = tags("<parameter=", "</parameter>", "</function>");
  grammar.unclosed_values = grammar.line_ends = true;
  return grammar;
}

constexpr XmlGrammar key_value_tags(std::string_view key_open, std::string_view key_end, std::string_view value_open,
                                    std::string_view value_close, std::string_view call_close) {
  XmlGrammar grammar = tags(key_open, value_close, call_close);
  grammar.name_end = {};
  grammar.key_end = key_end;
  grammar.value_open = value_open;
  return grammar;
}

constexpr XmlGrammar with_cdata(XmlGrammar grammar) {
  grammar.cdata = true;
  return grammar;
}

constexpr NamedGrammar separated_by(Markers separators, std::string_view id_mark = {}) {
  NamedGrammar grammar;
  grammar.separators = separators;
  grammar.id_mark = id_mark;
  return grammar;
}

constexpr NamedGrammar numbered(std::string_view separator) {
  NamedGrammar grammar = separated_by({separator});
  grammar.numbered = true;
  return grammar;
}

constexpr NamedGrammar quoted_by(std::string_view quote) {
  NamedGrammar grammar;
  grammar.dialect = {quote, true};
  return grammar;
}

// Formats whose template marks are part of another one's come first.
constexpr ToolFormat kFormats[] = {
    {.name = "harmony", .aliases = {"openai", "gptoss", "gpt_oss"}, .template_marks = {"<|channel|>", "<|message|>"}, .harmony = true},
    {.name = "kimi_k2",
     .template_marks = {"<|tool_call_argument_begin|>"},
     .section_opens = {"<|tool_calls_section_begin|>", "<|tool_call_section_begin|>"},
     .section_closes = {"<|tool_calls_section_end|>", "<|tool_call_section_end|>"},
     .call_opens = {"<|tool_call_begin|>"},
     .at_marker = CallGrammar::named,
     .named = numbered("<|tool_call_argument_begin|>"),
     .between = {"<|tool_call_end|>"},
     .ends_reasoning = true},
    {.name = "deepseek_v32",
     .template_marks = {"DSML"},
     .section_opens = {"<｜DSML｜function_calls>"},
     .section_closes = {"</｜DSML｜function_calls>"},
     .call_opens = {"<｜DSML｜invoke name=\""},
     .at_marker = CallGrammar::xml,
     .xml = tags("<｜DSML｜parameter name=\"", "</｜DSML｜parameter>", "</｜DSML｜invoke>"),
     .ends_reasoning = true},
    {.name = "deepseek",
     .aliases = {"deepseek_v3", "deepseek_v31", "deepseek_r1"},
     .template_marks = {"<｜tool▁call▁begin｜>"},
     .section_opens = {"<｜tool▁calls▁begin｜>"},
     .section_closes = {"<｜tool▁calls▁end｜>"},
     .call_opens = {"<｜tool▁call▁begin｜>"},
     .at_marker = CallGrammar::named,
     .named = separated_by({"<｜tool▁sep｜>", "```json"}),
     .between = {"<｜tool▁call▁end｜>", "```"},
     .ends_reasoning = true},
    {.name = "step3",
     .template_marks = {"<steptml:invoke"},
     .section_opens = {"<｜tool_calls_begin｜>", "<｜tool_call_begin｜>"},
     .section_closes = {"<｜tool_calls_end｜>"},
     .call_opens = {"<steptml:invoke name=\""},
     .at_marker = CallGrammar::xml,
     .xml = tags("<steptml:parameter name=\"", "</steptml:parameter>", "</steptml:invoke>"),
     .between = {"<｜tool_call_begin｜>", "<｜tool_call_end｜>", "function<｜tool_sep｜>"},
     .ends_reasoning = true},
    {.name = "minimax_m2",
     .aliases = {"minimax"},
     .template_marks = {"<minimax:tool_call>"},
     .section_opens = {"<minimax:tool_call>"},
     .section_closes = {"</minimax:tool_call>"},
     .call_opens = {"<invoke name=\""},
     .at_marker = CallGrammar::xml,
     .xml = tags("<parameter name=\"", "</parameter>", "</invoke>"),
     .ends_reasoning = true},
    {.name = "seed_oss",
     .template_marks = {"seed:tool_call"},
     .section_opens = {"<seed:tool_call>"},
     .section_closes = {"</seed:tool_call>"},
     .call_opens = {"<function="},
     .at_marker = CallGrammar::xml,
     .xml = function_tags(),
     .ends_reasoning = true},
    {.name = "longcat",
     .template_marks = {"<longcat_tool_call>"},
     .section_opens = {"<longcat_tool_call>"},
     .section_closes = {"</longcat_tool_call>"},
     .at_brace = CallGrammar::json,
     .at_word = CallGrammar::xml,
     .xml =
         key_value_tags("<longcat_arg_key>", "</longcat_arg_key>", "<longcat_arg_value>", "</longcat_arg_value>", "</longcat_tool_call>"),
     .ends_reasoning = true},
    {.name = "glm45",
     .aliases = {"glm4_moe", "glm47", "glm5"},
     .template_marks = {"<arg_key>"},
     .section_opens = {"<tool_call>"},
     .section_closes = {"</tool_call>"},
     .at_word = CallGrammar::xml,
     .xml = key_value_tags("<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>", "</tool_call>")},
    {.name = "minicpm5",
     .template_marks = {"<function name=", "<param name="},
     .call_opens = {"<function name=\""},
     .at_marker = CallGrammar::xml,
     .xml = with_cdata(tags("<param name=\"", "</param>", "</function>"))},
    {.name = "qwen3_coder",
     .aliases = {"qwen3coder", "qwen3_xml", "step3p5", "nemotron_v3"},
     .template_marks = {"<function=", "<parameter="},
     .section_opens = {"<tool_call>"},
     .section_closes = {"</tool_call>"},
     .call_opens = {"<function="},
     .at_marker = CallGrammar::xml,
     .xml = function_tags()},
    {.name = "functionary_v31",
     .template_marks = {"<function="},
     .section_closes = {"</function>"},
     .call_opens = {"<function="},
     .at_marker = CallGrammar::named,
     .named = separated_by({">"})},
    {.name = "hermes",
     .aliases = {"hermes3", "qwen", "qwen2", "qwen3", "granite4", "smollm3", "exaone4"},
     .template_marks = {"<tool_call>"},
     .section_opens = {"<tool_call>"},
     .section_closes = {"</tool_call>"},
     .at_brace = CallGrammar::json,
     .between = {"```", "json"}},
    {.name = "tool_calls",
     .aliases = {"jamba", "hunyuan_a13b", "minimax_m1", "apriel"},
     .template_marks = {"<tool_calls>"},
     .section_opens = {"<tool_calls>"},
     .section_closes = {"</tool_calls>"},
     .at_brace = CallGrammar::json},
    {.name = "nemotron",
     .aliases = {"nemotron_json"},
     .template_marks = {"<TOOLCALL>"},
     .section_opens = {"<TOOLCALL>"},
     .section_closes = {"</TOOLCALL>"},
     .at_brace = CallGrammar::json},
    {.name = "mistral",
     .aliases = {"devstral"},
     .template_marks = {"[TOOL_CALLS]"},
     .section_opens = {"[TOOL_CALLS]"},
     .at_brace = CallGrammar::json,
     .at_word = CallGrammar::named,
     .named = separated_by({"[CALL_ID]", "[ARGS]"}, "[CALL_ID]"),
     .between = {"[TOOL_CALLS]"},
     .ends_reasoning = true},
    {.name = "phi4_mini",
     .aliases = {"phi4_mini_json", "phi4"},
     .template_marks = {"<|/tool"},
     .section_opens = {"<|tool_call|>", "functools["},
     .section_closes = {"<|/tool_call|>"},
     .at_brace = CallGrammar::json},
    {.name = "phi4_functools",
     .template_marks = {"functools["},
     .section_opens = {"functools[", "<|tool_call|>"},
     .section_closes = {"<|/tool_call|>"},
     .at_brace = CallGrammar::json},
    {.name = "granite",
     .template_marks = {"<|tool_call|>"},
     .section_opens = {"<|tool_call|>", "<tool_call>"},
     .section_closes = {"</tool_call>"},
     .at_brace = CallGrammar::json},
    {.name = "granite_20b_fc",
     .template_marks = {"<function_call>"},
     .section_opens = {"<function_call>"},
     .section_closes = {"</function_call>"},
     .at_brace = CallGrammar::json,
     .between = {"<function_call>"}},
    {.name = "cohere",
     .aliases = {"cohere_command3", "command_r7b"},
     .template_marks = {"<|START_ACTION|>"},
     .section_opens = {"<|START_ACTION|>"},
     .section_closes = {"<|END_ACTION|>"},
     .at_brace = CallGrammar::json,
     .ends_reasoning = true},
    {.name = "command_r",
     .template_marks = {"Action:", "```json", "tool_name"},
     .section_opens = {"Action: ```json", "Action:```json", "Action:\n```json"},
     .section_closes = {"```"},
     .at_brace = CallGrammar::json},
    {.name = "internlm",
     .aliases = {"internlm2"},
     .template_marks = {"<|action_start|>"},
     .section_opens = {"<|action_start|>"},
     .section_closes = {"<|action_end|>"},
     .at_brace = CallGrammar::json,
     .between = {"<|plugin|>"}},
    {.name = "lfm2",
     .aliases = {"lfm25"},
     .template_marks = {"<|tool_call_start|>"},
     .section_opens = {"<|tool_call_start|>"},
     .section_closes = {"<|tool_call_end|>"},
     .at_brace = CallGrammar::json,
     .at_word = CallGrammar::python},
    {.name = "gemma4",
     .template_marks = {"<|tool_call>", "<tool_call|>"},
     .section_opens = {"<|tool_call>"},
     .section_closes = {"<tool_call|>"},
     .call_opens = {"call:"},
     .at_marker = CallGrammar::named,
     .named = quoted_by("<|\"|>"),
     .ends_reasoning = true},
    {.name = "functiongemma",
     .template_marks = {"<start_function_call>"},
     .section_opens = {"<start_function_call>"},
     .section_closes = {"<end_function_call>"},
     .call_opens = {"call:"},
     .at_marker = CallGrammar::named,
     .named = quoted_by("<escape>")},
    {.name = "olmo3",
     .template_marks = {"<function_calls>"},
     .section_opens = {"<function_calls>"},
     .section_closes = {"</function_calls>"},
     .at_word = CallGrammar::python},
    {.name = "llama4",
     .aliases = {"llama4_json", "llama4_pythonic"},
     .template_marks = {"<|python_start|>"},
     .section_opens = {"<|python_start|>"},
     .section_closes = {"<|python_end|>"},
     .bare_opens = "[{",
     .at_brace = CallGrammar::json,
     .at_word = CallGrammar::python},
    {.name = "llama3_json",
     .aliases = {"llama3", "llama"},
     .template_marks = {"<|start_header_id|>", "\"parameters\":"},
     .section_opens = {"<|python_tag|>"},
     .bare_opens = "{",
     .at_brace = CallGrammar::json,
     .at_word = CallGrammar::python},
    {.name = "gemma3",
     .template_marks = {"```tool_code"},
     .section_opens = {"```tool_code", "```tool_call", "```json"},
     .section_closes = {"```"},
     .bare_opens = "{[",
     .at_brace = CallGrammar::json,
     .at_word = CallGrammar::python},
    {.name = "pythonic",
     .aliases = {"llama3_pythonic", "toolace"},
     .template_marks = {"[func_name1(params_name1=params_value1"},
     .section_opens = {"<|python_tag|>"},
     .bare_opens = "[",
     .at_word = CallGrammar::python},
    {.name = "json",
     .aliases = {"xlam"},
     .section_opens = {"```json", "<tool_call>", "[TOOL_CALLS]"},
     .section_closes = {"```", "</tool_call>"},
     .bare_opens = "[{",
     .at_brace = CallGrammar::json},
    {.name = "none"},
};

}  // namespace

std::span<const ToolFormat> tool_formats() { return kFormats; }

}  // namespace nibble
