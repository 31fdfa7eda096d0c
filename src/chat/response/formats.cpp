#include "chat/response/formats.hpp"

#include <fmt/ranges.h>

#include <algorithm>

#include "base/fail.hpp"

namespace nibble {

namespace {

/// "Qwen3-Coder" and "qwen3_coder" are one name.
std::string plain(std::string_view name) {
  std::string result(name);
  for (char& c : result) c = c == '-' ? '_' : c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return result;
}

template <class Format>
std::vector<std::string> names_of(std::span<const Format> formats) {
  std::vector<std::string> names;
  for (const Format& format : formats) names.emplace_back(format.name);
  return names;
}

template <class Format>
const Format& find_format(std::span<const Format> formats, std::string_view what, std::string_view wanted) {
  const std::string name = plain(wanted);
  for (const Format& format : formats)
    if (format.name == name) return format;
  for (const Format& format : formats)
    if (format.aliases.contains(name)) return format;
  fail(ErrorKind::invalid_argument, "there is no {} parser '{}': take one of {}", what, wanted, fmt::join(names_of(formats), ", "));
}

template <class Format>
std::string detected(std::span<const Format> formats, std::string_view text) {
  for (const Format& format : formats) {
    const auto in_text = [&](std::string_view mark) { return text.find(mark) != std::string_view::npos; };
    if (!format.template_marks.empty() && std::all_of(format.template_marks.begin(), format.template_marks.end(), in_text))
      return std::string(format.name);
  }
  return "none";
}

}  // namespace

const ToolFormat& find_tool_format(std::string_view name) { return find_format(tool_formats(), "tool", name); }
const ReasoningFormat& find_reasoning_format(std::string_view name) { return find_format(reasoning_formats(), "reasoning", name); }

std::vector<std::string> tool_parser_names() { return names_of(tool_formats()); }
std::vector<std::string> reasoning_parser_names() { return names_of(reasoning_formats()); }

ResponseFormat detect_response_format(std::string_view chat_template) {
  return {detected(tool_formats(), chat_template), detected(reasoning_formats(), chat_template)};
}

}  // namespace nibble
