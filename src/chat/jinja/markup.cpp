#include "chat/jinja/markup.hpp"

#include <array>
#include <charconv>

#include "chat/jinja/operators.hpp"
#include "chat/jinja/unicode.hpp"

namespace nibble::jinja {

void append_html_escaped(TextBuilder& text, std::string_view content) {
  size_t done = 0;
  auto replace = [&](size_t at, std::string_view entity) {
    text += content.substr(done, at - done);
    text += entity;
    done = at + 1;
  };
  for (size_t i = 0; i < content.size(); ++i) {
    switch (content[i]) {
      case '&': replace(i, "&amp;"); break;
      case '<': replace(i, "&lt;"); break;
      case '>': replace(i, "&gt;"); break;
      case '\'': replace(i, "&#39;"); break;
      case '"': replace(i, "&#34;"); break;
      default: break;
    }
  }
  text += content.substr(done);
}

Value escape(Run& run, const Value& value) {
  if (value.is_markup()) return value;
  TextBuilder text(run);
  append_html_escaped(text, to_string(run, value).text());
  return text.value(true);
}

namespace {

struct Entity {
  std::string_view name;
  char32_t code;
};
constexpr std::array entities = {
    Entity{"amp", '&'},      Entity{"lt", '<'},       Entity{"gt", '>'},       Entity{"quot", '"'},     Entity{"apos", '\''},
    Entity{"nbsp", 0xA0},    Entity{"copy", 0xA9},    Entity{"reg", 0xAE},     Entity{"trade", 0x2122}, Entity{"hellip", 0x2026},
    Entity{"ndash", 0x2013}, Entity{"mdash", 0x2014}, Entity{"lsquo", 0x2018}, Entity{"rsquo", 0x2019}, Entity{"ldquo", 0x201C},
    Entity{"rdquo", 0x201D}, Entity{"laquo", 0xAB},   Entity{"raquo", 0xBB},   Entity{"bull", 0x2022},  Entity{"middot", 0xB7},
    Entity{"times", 0xD7},   Entity{"deg", 0xB0},     Entity{"euro", 0x20AC},  Entity{"pound", 0xA3},   Entity{"larr", 0x2190},
    Entity{"rarr", 0x2192},
};

/// The code point of an entity without its & and ;, or 0.
char32_t entity_code(std::string_view name) {
  if (name.starts_with('#')) {
    const bool hex = name.size() > 1 && (name[1] | 0x20) == 'x';
    std::string_view digits = name.substr(hex ? 2 : 1);
    uint32_t code = 0;
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), code, hex ? 16 : 10);
    if (digits.empty() || end != digits.data() + digits.size()) return 0;
    const bool valid = error == std::errc() && code != 0 && code < 0x110000 && (code < 0xD800 || code > 0xDFFF);
    return valid ? code : 0xFFFD;
  }
  for (const Entity& entity : entities)
    if (entity.name == name) return entity.code;
  return 0;
}

}  // namespace

std::string unescape_html(std::string_view html) {
  constexpr size_t longest_entity = 32;
  std::string text;
  for (size_t i = 0; i < html.size(); ++i) {
    if (html[i] == '&') {
      const size_t end = html.substr(0, i + longest_entity).find(';', i);
      const char32_t code = end == std::string_view::npos ? 0 : entity_code(html.substr(i + 1, end - i - 1));
      if (code) {
        append_utf8(text, code);
        i = end;
        continue;
      }
    }
    text += html[i];
  }
  return text;
}

namespace {

/// `html` without what stands between `open` and `close`; an opening without end stays.
std::string without(std::string_view html, std::string_view open, std::string_view close) {
  std::string text;
  for (;;) {
    const size_t start = html.find(open);
    const size_t end = start == std::string_view::npos ? start : html.find(close, start + open.size());
    if (end == std::string_view::npos) return text.append(html);
    text += html.substr(0, start);
    html.remove_prefix(end + close.size());
  }
}

std::string collapse_spaces(std::string_view text) {
  std::string result;
  bool gap = false;
  for (size_t i = 0; i < text.size();) {
    const size_t start = i;
    if (is_space(next_code_point(text, i))) {
      gap = true;
      continue;
    }
    if (gap && !result.empty()) result += ' ';
    gap = false;
    result += text.substr(start, i - start);
  }
  return result;
}

Value unescape(Run& run, const Value& self, Arguments& arguments) {
  bind(arguments, "unescape", {});
  return run.string(unescape_html(self.text()));
}

Value striptags(Run& run, const Value& self, Arguments& arguments) {
  bind(arguments, "striptags", {});
  return strip_tags(run, self.text());
}

constexpr std::array methods = {Method{"unescape", unescape}, Method{"striptags", striptags}};

}  // namespace

Value strip_tags(Run& run, std::string_view html) {
  run.step(html.size());
  return run.string(unescape_html(collapse_spaces(without(without(html, "<!--", "-->"), "<", ">"))));
}

std::span<const Method> markup_methods() { return methods; }

}  // namespace nibble::jinja
