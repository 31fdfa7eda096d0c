#include <algorithm>
#include <array>

#include "chat/jinja/arguments.hpp"
#include "chat/jinja/markup.hpp"
#include "chat/jinja/numbers.hpp"
#include "chat/jinja/operators.hpp"
#include "chat/jinja/registry.hpp"
#include "chat/jinja/unicode.hpp"

namespace nibble::jinja {

namespace {

Value escape_filter(Run& run, Arguments& arguments) { return escape(run, bind(arguments, "escape", {"s"}, 1)[0]); }

Value force_escape(Run& run, Arguments& arguments) {
  Bound a = bind(arguments, "forceescape", {"value"}, 1);
  return escape(run, run.string(to_string(run, a[0]).text()));
}

Value safe(Run& run, Arguments& arguments) {
  Bound a = bind(arguments, "safe", {"value"}, 1);
  return run.string(to_string(run, a[0]).text(), true);
}

Value striptags(Run& run, Arguments& arguments) {
  Bound a = bind(arguments, "striptags", {"value"}, 1);
  return strip_tags(run, to_string(run, a[0]).text());
}

/// urllib's quote; in a query string a slash is quoted and a space becomes a plus.
void append_quoted_url(TextBuilder& text, std::string_view content, bool query) {
  constexpr std::string_view plain = "_.-~";
  for (char c : content) {
    const bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (alnum || plain.find(c) != std::string_view::npos || (c == '/' && !query)) {
      text += c;
    } else if (c == ' ' && query) {
      text += '+';
    } else {
      text += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
}

Value url_encode(Run& run, Arguments& arguments) {
  Bound a = bind(arguments, "urlencode", {"value"}, 1);
  TextBuilder text(run);
  if (a[0].is_string() || !is_iterable(a[0])) {
    append_quoted_url(text, to_string(run, a[0]).text(), false);
    return text.value();
  }
  bool first = true;
  auto add = [&](const Value& key, const Value& value) {
    if (!first) text += '&';
    first = false;
    append_quoted_url(text, to_string(run, key).text(), true);
    text += '=';
    append_quoted_url(text, to_string(run, value).text(), true);
  };
  if (a[0].is_dict()) {
    for (const auto& [key, value] : a[0].dict().entries) add(key, value);
    return text.value();
  }
  for (const Value& item : elements(run, a[0])) {
    const std::vector<Value> pair = elements(run, item);
    if (pair.size() != 2) refuse(Fault::value_error, "{} values to unpack (expected 2)", pair.size() < 2 ? "not enough" : "too many");
    add(pair[0], pair[1]);
  }
  return text.value();
}

Value xml_attributes(Run& run, Arguments& arguments) {
  Bound a = bind(arguments, "xmlattr", {"d", "autospace"}, 1);
  if (a[0].is_undefined()) use_undefined(a[0]);
  if (!a[0].is_dict()) refuse(Fault::attribute_error, "'{}' object has no attribute 'items'", type_name(a[0]));
  const bool space = !a.has(1) || truth(run, a[1]);
  TextBuilder text(run);
  for (const auto& [key, value] : a[0].dict().entries) {
    if (value.is_none() || value.is_undefined()) continue;
    const Value name = to_string(run, key);
    if (name.text().find_first_of(" \t\n\r\f\v/>=") != std::string::npos)
      refuse(Fault::value_error, "Invalid character in attribute name: {}", repr(run, name));
    if (text.size() > 0 || space) text += ' ';
    text += escape(run, key).text();
    text += "=\"";
    text += escape(run, value).text();
    text += '"';
  }
  return text.value();
}

/// True for http://..., https://..., www....
bool is_link(std::string_view word) {
  for (std::string_view start : {"http://", "https://", "www."})
    if (word.starts_with(start) && word.size() > start.size() && is_word(static_cast<unsigned char>(word[start.size()]))) return true;
  return false;
}

bool is_address(std::string_view word) {
  const size_t at = word.find('@');
  const size_t dot = at == std::string_view::npos ? at : word.find('.', at);
  return at != 0 && dot != std::string_view::npos && dot > at + 1 && dot + 1 < word.size() && word.find(':') == std::string_view::npos;
}

struct LinkStyle {
  int64_t limit = -1;
  std::string attributes;
};

void append_link(TextBuilder& text, Run& run, std::string_view word, const LinkStyle& style) {
  size_t end = word.size();
  while (end > 0 && std::string_view(".,)").find(word[end - 1]) != std::string_view::npos) --end;
  const std::string_view link = word.substr(0, end);
  const bool address = is_address(link);
  if (!is_link(link) && !address) {
    text += word;
    return;
  }
  const std::string_view scheme = address ? "mailto:" : link.starts_with("www.") ? "https://" : "";
  Value shown = run.string(std::string(link));
  if (!address && style.limit >= 0 && static_cast<int64_t>(shown.string().length) > style.limit)
    shown = binary(run, "+", slice(run, shown, None{}, style.limit, None{}), run.string("..."));
  text += fmt::format("<a href=\"{}{}\"{}>", scheme, link, address ? "" : style.attributes);
  text += shown.text();
  text += "</a>";
  text += word.substr(end);
}

Value urlize(Run& run, Arguments& arguments) {
  Bound a = bind(arguments, "urlize", {"value", "trim_url_limit", "nofollow", "target", "rel", "extra_schemes"}, 1);
  LinkStyle style;
  if (a.has(1) && !a[1].is_none()) style.limit = to_index(a[1]);
  std::string rel = a.has(4) && !a[4].is_none() ? text_argument(a[4], "urlize") + " noopener" : "noopener";
  if (a.has(2) && truth(run, a[2])) rel = "nofollow " + rel;
  TextBuilder escaped(run);
  append_html_escaped(escaped, rel);
  style.attributes = " rel=\"" + escaped.text() + "\"";
  if (a.has(3) && !a[3].is_none()) style.attributes += " target=\"" + escape(run, a[3]).text() + "\"";
  const Value source = escape(run, a[0]);
  const std::string_view content = source.text();
  TextBuilder text(run);
  for (size_t i = 0; i < content.size();) {
    const size_t space = std::min(content.find_first_of(" \t\n\r\f\v", i), content.size());
    append_link(text, run, content.substr(i, space - i), style);
    const size_t next = std::min(content.find_first_not_of(" \t\n\r\f\v", space), content.size());
    text += content.substr(space, next - space);
    i = next;
  }
  return text.value();
}

constexpr std::array filters = {
    Filter{"escape", escape_filter}, Filter{"e", escape_filter},      Filter{"forceescape", force_escape}, Filter{"safe", safe},
    Filter{"striptags", striptags},  Filter{"urlencode", url_encode}, Filter{"xmlattr", xml_attributes},   Filter{"urlize", urlize},
};

}  // namespace

std::span<const Filter> markup_filters() { return filters; }

}  // namespace nibble::jinja
